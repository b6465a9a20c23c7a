import { at } from '@emloc/checked';
import type { BatchShape, Block, ModelLayout } from '@emloc/models';

/**
 * The row layout whose sequences a model can go on with.
 * @throws where its attentions look back over none, or over several
 */
export function cachedLayout({ family, blocks }: ModelLayout): string {
  const names = new Set(blocks.flatMap(({ program }) => program.caches.map(({ rows }) => rows)));
  if (names.size === 1) return at([...names], 0);
  throw new Error(`${family}: rows of ${names.size} layouts go on, one expected`);
}

/** The blocks that a step runs: not those before the loss that give no rows in it. */
export function stepBlocks({ blocks }: ModelLayout, { layouts }: BatchShape): readonly Block[] {
  return blocks.filter(
    ({ program: { outputs } }) =>
      outputs.size === 0 ||
      [...outputs.values()].some(({ rows }) => (layouts.get(rows)?.at(-1) ?? 0) > 0),
  );
}
