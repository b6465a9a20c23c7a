import { at } from '@emloc/checked';
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
  const biases = options.relativeBias ? columnsOf(options.relativeBias) : null;
  const rows = logSumExp.length / heads;
  const scratch = takeTile(context, options);
  const group = heads / kvHeads;
  const { scale, softCap = null } = options;
  const [width, keyWidth] = [heads * headLength, kvHeads * headLength];
  for (const tile of queryTiles(options)) {
    for (let head = 0; head < heads; head += 1) {
      const keyHead = Math.floor(head / group);
      const query = { row: tile.queryRow, head, width, headLength };
      const key = { row: tile.keyRow, head: keyHead, width: keyWidth, headLength };
      attendTile(context, scratch, {
        tile,
        headLength,
        scale,
        softCap,
        sink: sinks ? (sinks[head] as number) : Number.NEGATIVE_INFINITY,
        bias: biases && at(biases, head),
        q: headOf(q, query),
        k: headOf(k, key),
        v: headOf(v, key),
        out: headOf(out, query),
      });
      writeLogSumExp(scratch, logSumExp, head * rows + tile.queryRow, tile.rows);
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
  /** What lies at these addresses. */
  readonly tile: Float32Array;
  readonly largest: Float32Array;
  readonly total: Float64Array;
}

function takeTile({ scratch }: CpuContext, options: AttentionOptions): TileScratch {
  const { rows, keys } = largestTile(options);
  const scores = scratch.take(rows * keys * 4);
  const [maxima, sums] = [scratch.take(rows * 4), scratch.take(rows * 8)];
  return {
    scores,
    maxima,
    sums,
    tile: scratch.float32(scores, rows * keys),
    largest: scratch.float32(maxima, rows),
    total: scratch.float64(sums, rows),
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
  { linearAlgebra, wasm }: CpuContext,
  scratch: TileScratch,
  { tile, headLength, scale, softCap, sink, bias, q, k, v, out }: TileProduct,
): void {
  const { rows, keys, firstEnd, window } = tile;
  const scores = { data: scratch.tile, stride: keys };
  linearAlgebra.sgemm({
    m: rows,
    n: keys,
    k: headLength,
    transposeA: false,
    transposeB: true,
    alpha: scale,
    accumulate: false,
    a: q,
    b: k,
    out: scores,
  });
  if (softCap !== null) wasm.softCapRow(scratch.scores, rows * keys, softCap, 0);
  if (bias) addBias(scores.data, tile, bias);
  const { maxima, sums } = scratch;
  wasm.softmaxRows(scratch.scores, rows, keys, firstEnd, window, sink, maxima, sums);
  linearAlgebra.sgemm({
    m: rows,
    n: headLength,
    k: keys,
    transposeA: false,
    transposeB: false,
    alpha: 1,
    accumulate: false,
    a: scores,
    b: v,
    out,
  });
}

/** The columns of (entries, heads), one after another. */
function columnsOf(table: Tensor): Float32Array[] {
  const [values, heads] = [float32(table), table.dim(1)];
  return Array.from({ length: heads }, (_, head) =>
    Float32Array.from({ length: table.dim(0) }, (__, i) => values[i * heads + head] as number),
  );
}

/** Adds to each score the bias of its distance, or that of the last in its direction. */
function addBias(scores: Float32Array, tile: QueryTile, bias: Float32Array): void {
  const { rows, keys, queryRow, keyRow } = tile;
  const last = bias.length - 1;
  for (let row = 0, i = 0; row < rows; row += 1) {
    let entry = last / 2 + keyRow - queryRow - row;
    for (const end = i + keys; i < end; i += 1, entry += 1) {
      const within = entry < 0 ? 0 : entry > last ? last : entry;
      scores[i] = (scores[i] as number) + (bias[within] as number);
    }
  }
}

function writeLogSumExp(
  { largest, total }: TileScratch,
  out: Float32Array,
  offset: number,
  rows: number,
): void {
  for (let row = 0; row < rows; row += 1)
    out[offset + row] = Math.log(total[row] as number) + (largest[row] as number);
}
