import { quoted } from '../errors.js';

const most = 5;

/** The first of some names, and how many more there are. */
export function listed(names: readonly string[]): string {
  const first = names.slice(0, most).map(quoted).join(', ');
  return names.length <= most ? first : `${first} and ${names.length - most} more`;
}
