import { at } from '@emloc/checked';
import { lossBlock, type Block, type ModelLayout } from '@emloc/models';

import type { BackwardPath } from './walk.js';

/** A block whose turn it is, for all batches: its forward, or its forward once more and back. */
export interface GradientVisit {
  readonly direction: 'forward' | 'backward';
  readonly block: Block;
  /** Kept before it: what the block reads, or all that waits, so that a forward can begin there. */
  readonly keeps: 'nothing' | 'inputs' | 'all';
}

/**
 * The way of a breadth-first backward: forward to the loss, then back to the lowest block that is
 * visited. What blocks read waits in the host. Where that of all blocks would take more than
 * `limitBytes`, only every so manieth block's does, and what others read is made again, a segment
 * at a time.
 * @param boundaryBytes what streams between two blocks take, for all batches
 */
export function gradientVisits(
  layout: ModelLayout,
  { wanted, lowest }: BackwardPath,
  { boundaryBytes, limitBytes }: { readonly boundaryBytes: number; readonly limitBytes: number },
): readonly GradientVisit[] {
  const loss = lossBlock(layout).index;
  const blocks = layout.blocks.slice(0, loss + 1);
  const count = loss + 1 - lowest;
  if (count <= 0) return [];
  const length =
    count * boundaryBytes <= limitBytes ? count : Math.max(1, Math.ceil(Math.sqrt(count)));
  const isVisited = ({ index }: Block): boolean => at(wanted, index) !== null;
  const lastStart = lowest + Math.floor((count - 1) / length) * length;
  const first = blocks.slice(0, loss).map((block): GradientVisit => {
    const { index } = block;
    const isStart = index >= lowest && (index - lowest) % length === 0;
    const keeps = isStart ? 'all' : index >= lastStart ? 'inputs' : 'nothing';
    return { direction: 'forward', block, keeps };
  });
  const visits = [...first];
  for (let start = lastStart; start >= lowest; start -= length) {
    const segment = blocks.slice(start, Math.min(start + length, loss + 1));
    if (start < lastStart)
      for (const block of segment.slice(0, -1))
        visits.push({ direction: 'forward', block, keeps: 'inputs' });
    for (const block of segment.reverse())
      if (isVisited(block)) visits.push({ direction: 'backward', block, keeps: 'inputs' });
  }
  return visits;
}
