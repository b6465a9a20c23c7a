import { randomBytes } from 'node:crypto';

/** A text that is nowhere else. */
export function marker(name: string): string {
  return `marker-${name}-${randomBytes(8).toString('hex')}`;
}
