import {
  assertScoring,
  attendedKeys,
  causalMask,
  DeviceError,
  relativeReach,
  type AttentionBackwardOptions,
  type AttentionMask,
  type AttentionOptions,
  type KernelName,
} from '@emloc/device';

import { assertSequences, assertShape, matrix } from '../checks.js';
import { productScratchBytes } from '../portable/blocks.js';
import { scratchBytes } from '../scratch.js';

type TileOptions = Pick<AttentionOptions, 'sequences' | 'mask'>;

/** Query rows whose scores exist at once. */
const tileRows = 64;

/** A block of queries of one sequence, and the keys that they attend to. */
export interface QueryTile {
  /** First row of the queries in the packed tensors. */
  readonly queryRow: number;
  readonly rows: number;
  /** First row of the keys in the packed tensors. */
  readonly keyRow: number;
  /** Columns of the tile. */
  readonly keys: number;
  /** Row i attends to the last `window` of the keys before `firstEnd + i`. */
  readonly firstEnd: number;
  readonly window: number;
}

/** All tiles, sequence by sequence. */
export function queryTiles({ sequences, mask = causalMask }: TileOptions): QueryTile[] {
  const { offsets } = sequences;
  const tiles: QueryTile[] = [];
  for (let sequence = 1; sequence < offsets.length; sequence += 1) {
    const [start, end] = [offsets[sequence - 1] as number, offsets[sequence] as number];
    for (let row = start; row < end; row += tileRows)
      tiles.push(queryTile(mask, { start, end, row }));
  }
  return tiles;
}

function queryTile(
  mask: AttentionMask,
  { start, end, row }: { readonly start: number; readonly end: number; readonly row: number },
): QueryTile {
  const rows = Math.min(tileRows, end - row);
  const queries = { first: row - start, end: row - start + rows };
  const { first, end: keyEnd } = attendedKeys(mask, queries, end - start);
  const keys = keyEnd - first;
  return {
    queryRow: row,
    rows,
    keyRow: start + first,
    keys,
    firstEnd: mask.kind === 'none' ? keys : queries.first + 1 - first,
    window: mask.kind === 'window' ? Math.min(mask.window, keys) : keys,
  };
}

/** Scratch bytes: `scoreTiles` tiles, two values a row, and a product between a tile and a head. */
export function attentionScratchBytes(options: AttentionOptions, scoreTiles: number): number {
  const { rows, keys } = largestTile(options);
  if (rows === 0) return 0;
  const headLength = options.q.dim(1) / options.heads;
  const products = [
    [rows, keys, headLength],
    [rows, headLength, keys],
    [keys, headLength, rows],
  ] as const;
  const packing = Math.max(...products.map(([m, n, k]) => productScratchBytes(m, n, k, 4)));
  return (
    scoreTiles * scratchBytes(rows * keys * 4) +
    scratchBytes(rows * 4) +
    scratchBytes(rows * 8) +
    packing
  );
}

/** Scratch bytes of the backward: probabilities, their gradients, and a soft cap's slopes. */
export function attentionBackwardScratchBytes(options: AttentionBackwardOptions): number {
  return attentionScratchBytes(options, options.softCap === undefined ? 2 : 3);
}

/** Scratch addresses of a tile's rows are sized for the largest tile. */
export function largestTile(options: TileOptions): { rows: number; keys: number } {
  let [mostRows, mostKeys] = [0, 0];
  for (const { rows, keys } of queryTiles(options)) {
    mostRows = Math.max(mostRows, rows);
    mostKeys = Math.max(mostKeys, keys);
  }
  return { rows: mostRows, keys: mostKeys };
}

/**
 * Length of a head.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH for operands that do not belong together
 */
export function checkAttention(kernel: KernelName, options: AttentionOptions): number {
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads, sinks } = options;
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
  if (sinks) assertShape(kernel, sinks, [heads]);
  assertScoring(kernel, options);
  if (options.relativeBias) relativeReach(kernel, options.relativeBias, heads);
  assertSequences(kernel, sequences, rows);
  return headLength;
}
