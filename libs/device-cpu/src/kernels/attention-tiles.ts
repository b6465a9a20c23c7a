import {
  DeviceError,
  type AttentionOptions,
  type KernelName,
  type SequenceLayout,
} from '@emloc/device';

import { assertSequences, assertShape, matrix } from '../checks.js';
import { productScratchBytes } from '../portable/gemm.js';
import { scratchBytes } from '../scratch.js';

/** Query rows whose scores exist at once. */
const tileRows = 64;

/** A block of queries of one sequence; row i of it sees `firstLength + i` keys. */
export interface QueryTile {
  /** First row of the queries, and of the sequence's keys, in the packed tensors. */
  readonly queryRow: number;
  readonly keyRow: number;
  readonly rows: number;
  /** Keys that the last row sees: columns of the tile. */
  readonly keys: number;
  readonly firstLength: number;
}

/** All tiles, sequence by sequence. */
export function queryTiles({ offsets }: SequenceLayout): QueryTile[] {
  const tiles: QueryTile[] = [];
  for (let sequence = 1; sequence < offsets.length; sequence += 1) {
    const [start, end] = [offsets[sequence - 1] as number, offsets[sequence] as number];
    for (let row = start; row < end; row += tileRows) {
      const rows = Math.min(tileRows, end - row);
      tiles.push({
        queryRow: row,
        keyRow: start,
        rows,
        keys: row - start + rows,
        firstLength: row - start + 1,
      });
    }
  }
  return tiles;
}

/** Scratch bytes: `scoreTiles` tiles, two values a row, and a product between a tile and a head. */
export function attentionScratchBytes(
  { q, sequences, heads }: AttentionOptions,
  scoreTiles: number,
): number {
  const longest = longestSequence(sequences);
  if (longest === 0) return 0;
  const rows = Math.min(tileRows, longest);
  const headLength = q.dim(1) / heads;
  const products = [
    [rows, longest, headLength],
    [rows, headLength, longest],
    [longest, headLength, rows],
  ] as const;
  const packing = Math.max(...products.map(([m, n, k]) => productScratchBytes(m, n, k, 4)));
  return (
    scoreTiles * scratchBytes(rows * longest * 4) +
    scratchBytes(rows * 4) +
    scratchBytes(rows * 8) +
    packing
  );
}

function longestSequence({ offsets }: SequenceLayout): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i += 1)
    longest = Math.max(longest, (offsets[i] as number) - (offsets[i - 1] as number));
  return longest;
}

/** Scratch addresses of a tile's rows are sized for the largest tile. */
export function largestTile({ offsets }: SequenceLayout): { rows: number; keys: number } {
  const longest = longestSequence({ offsets } as SequenceLayout);
  return { rows: Math.min(tileRows, longest), keys: longest };
}

/**
 * Length of a head.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH for operands that do not belong together
 */
export function checkAttention(
  kernel: KernelName,
  { q, k, v, out, logSumExp, sequences, heads, kvHeads }: AttentionOptions,
): number {
  const [rows, width] = matrix(kernel, q);
  const headLength = width / heads;
  if (!Number.isInteger(headLength) || !Number.isInteger(heads / kvHeads)) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${heads} heads and ${kvHeads} key heads do not divide a width of ${width}`,
    );
  }
  assertShape(kernel, k, [rows, kvHeads * headLength]);
  assertShape(kernel, v, [rows, kvHeads * headLength]);
  assertShape(kernel, out, [rows, width]);
  assertShape(kernel, logSumExp, [heads, rows]);
  assertSequences(kernel, sequences, rows);
  return headLength;
}
