import type { ModelLayout } from './layout.js';

/** The block that a checkpoint's tensor belongs to, by its name; null: to none. */
export function blockOf(name: string, layout: ModelLayout): number | null {
  const blocks = layout.blockPath(0).replace(/0$/, '');
  if (!name.startsWith(blocks)) return null;
  const [, number] = /^(\d{1,9})\./.exec(name.slice(blocks.length)) ?? [];
  return number === undefined ? null : Number(number);
}
