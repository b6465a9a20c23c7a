import type { ModelLayout } from './layout.js';

type NumberedBlocks = ModelLayout['numbered'][number];

/** The numbered block that a tensor belongs to, by its name; null: it belongs to none. */
export function blockOf(
  name: string,
  { numbered }: Pick<ModelLayout, 'numbered'>,
): { readonly blocks: NumberedBlocks; readonly number: number } | null {
  const blocks = numbered.find(({ prefix }) => name.startsWith(`${prefix}.`));
  if (!blocks) return null;
  const [, number] = /^(\d{1,9})\./.exec(name.slice(blocks.prefix.length + 1)) ?? [];
  return number === undefined ? null : { blocks, number: Number(number) };
}
