import type { AttentionOptions, Tensor } from '@emloc/device';

import type { CpuContext } from '../context.js';
import type { Matrix } from '../linear-algebra.js';
import { float32 } from '../memory.js';
import { checkAttention, largestTile, queryTiles, type QueryTile } from './attention-tiles.js';

/** Head by head: a tile of scores in scratch, softmax in place, product with the values. */
export function attention(context: CpuContext, options: AttentionOptions): void {
  const { heads, kvHeads } = options;
  const headLength = checkAttention('attention', options);
  const [q, k, v, out, logSumExp] = [
    options.q,
    options.k,
    options.v,
    options.out,
    options.logSumExp,
  ].map(float32) as Float32Arrays<5>;
  const sinks = options.sinks && float32(options.sinks);
  const biases = options.relativeBias && columnsOf(options.relativeBias);
  const rows = logSumExp.length / heads;
  const scratch = takeTile(context, options);
  const group = heads / kvHeads;
  for (const tile of queryTiles(options)) {
    for (let head = 0; head < heads; head += 1) {
      const [width, keyWidth, keyHead] = [
        heads * headLength,
        kvHeads * headLength,
        Math.floor(head / group),
      ];
      const heads2d = {
        q: headOf(q, { row: tile.queryRow, head, width, headLength }),
        k: headOf(k, { row: tile.keyRow, head: keyHead, width: keyWidth, headLength }),
        v: headOf(v, { row: tile.keyRow, head: keyHead, width: keyWidth, headLength }),
        out: headOf(out, { row: tile.queryRow, head, width, headLength }),
      };
      const { scale, softCap = null } = options;
      const sink = sinks ? (sinks[head] as number) : Number.NEGATIVE_INFINITY;
      const bias = biases?.[head] ?? null;
      attendTile(context, scratch, { tile, headLength, scale, softCap, sink, bias, ...heads2d });
      writeLogSumExp(context, scratch, logSumExp, head * rows + tile.queryRow, tile.rows);
    }
  }
}

type Float32Arrays<N extends number, T extends Float32Array[] = []> = T['length'] extends N
  ? T
  : Float32Arrays<N, [...T, Float32Array]>;

interface TileScratch {
  readonly scores: number;
  readonly maxima: number;
  readonly sums: number;
}

function takeTile({ scratch }: CpuContext, options: AttentionOptions): TileScratch {
  const { rows, keys } = largestTile(options);
  return {
    scores: scratch.take(rows * keys * 4),
    maxima: scratch.take(rows * 4),
    sums: scratch.take(rows * 8),
  };
}

/** One head of packed rows from `row` on. */
export function headOf(
  data: Float32Array,
  {
    row,
    head,
    width,
    headLength,
  }: { row: number; head: number; width: number; headLength: number },
): Matrix<Float32Array> {
  return { data: data.subarray(row * width + head * headLength), stride: width };
}

interface TileProduct {
  readonly tile: QueryTile;
  readonly headLength: number;
  readonly scale: number;
  readonly softCap: number | null;
  /** −∞ for none */
  readonly sink: number;
  /** By distance of a key from a query, from −reach to reach; null for none. */
  readonly bias: Float32Array | null;
  readonly q: Matrix<Float32Array>;
  readonly k: Matrix<Float32Array>;
  readonly v: Matrix<Float32Array>;
  readonly out: Matrix<Float32Array>;
}

function attendTile(
  { linearAlgebra, scratch, wasm }: CpuContext,
  addresses: TileScratch,
  { tile, headLength, scale, softCap, sink, bias, q, k, v, out }: TileProduct,
): void {
  const { rows, keys, firstEnd, window } = tile;
  const scores = { data: scratch.float32(addresses.scores, rows * keys), stride: keys };
  linearAlgebra.sgemm({
    m: rows,
    n: keys,
    k: headLength,
    a: q,
    b: k,
    transposeB: true,
    out: scores,
    alpha: scale,
    accumulate: false,
  });
  if (softCap !== null) wasm.softCapRow(addresses.scores, rows * keys, softCap, 0);
  if (bias) addBias(scores.data, tile, bias);
  const { maxima, sums } = addresses;
  wasm.softmaxRows(addresses.scores, rows, keys, firstEnd, window, sink, maxima, sums);
  linearAlgebra.sgemm({
    m: rows,
    n: headLength,
    k: keys,
    a: scores,
    b: v,
    out,
    alpha: 1,
    accumulate: false,
  });
}

/** The columns of (entries, heads), one after another. */
function columnsOf(table: Tensor): Float32Array[] {
  const [values, heads] = [float32(table), table.dim(1)];
  return Array.from({ length: heads }, (_, head) =>
    Float32Array.from({ length: table.dim(0) }, (__, i) => values[i * heads + head] as number),
  );
}

/** Adds to each score the bias of its distance, or that of the largest in its direction. */
function addBias(scores: Float32Array, tile: QueryTile, bias: Float32Array): void {
  const { rows, keys, queryRow, keyRow } = tile;
  const last = bias.length - 1;
  for (let row = 0, i = 0; row < rows; row += 1) {
    // Entry of the first key.
    const first = last / 2 + keyRow - queryRow - row;
    for (let key = 0; key < keys; key += 1, i += 1) {
      const entry = Math.min(Math.max(first + key, 0), last);
      scores[i] = (scores[i] as number) + (bias[entry] as number);
    }
  }
}

function writeLogSumExp(
  { scratch }: CpuContext,
  { maxima, sums }: TileScratch,
  out: Float32Array,
  offset: number,
  rows: number,
): void {
  const [largest, total] = [scratch.float32(maxima, rows), scratch.float64(sums, rows)];
  for (let row = 0; row < rows; row += 1)
    out[offset + row] = Math.log(total[row] as number) + (largest[row] as number);
}
