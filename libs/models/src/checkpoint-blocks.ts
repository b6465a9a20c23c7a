import type { ModelLayout } from './layout.js';

/** The number that the checkpoint gives to the block of a tensor, by its name; null: none. */
export function blockOf(name: string, { numbered: { prefix } }: ModelLayout): number | null {
  if (!name.startsWith(`${prefix}.`)) return null;
  const [, number] = /^(\d{1,9})\./.exec(name.slice(prefix.length + 1)) ?? [];
  return number === undefined ? null : Number(number);
}
