import { at } from '@emloc/checked';
import type {
  AttentionBackwardOptions,
  AttentionOptions,
  SequenceLayout,
  Tensor,
} from '@emloc/device';
import { assertShape, checkAttention } from '@emloc/device-cpu';
import type * as tfjs from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** Query rows whose scores exist at once. */
export const tileRows = 128;

/** A block of queries of one sequence. */
interface QueryTile {
  /** First row of the sequence, and of the queries, in the packed tensors. */
  readonly start: number;
  readonly row: number;
  readonly rows: number;
  /** Keys that the last row sees. */
  readonly keys: number;
}

/** The tiles of every sequence that has rows. */
function queryTiles({ offsets }: SequenceLayout): QueryTile[][] {
  const sequences: QueryTile[][] = [];
  for (let sequence = 1; sequence < offsets.length; sequence += 1) {
    const [start, end] = [at(offsets, sequence - 1), at(offsets, sequence)];
    const tiles: QueryTile[] = [];
    for (let row = start; row < end; row += tileRows) {
      const rows = Math.min(tileRows, end - row);
      tiles.push({ start, row, rows, keys: row - start + rows });
    }
    if (tiles.length > 0) sequences.push(tiles);
  }
  return sequences;
}

/** Tile by tile: scores of all heads, softmax, product with the values. */
export function attention(context: TfjsContext, options: AttentionOptions): void {
  const { tf, memory } = context;
  checkAttention('attention', options);
  const results = queryTiles(options.sequences)
    .flat()
    .map((tile) => tf.tidy(() => attendTile(context, options, tile)));
  if (results.length === 0) return;
  memory.write(
    options.out,
    tf.concat(
      results.map(({ out }) => out),
      0,
    ),
  );
  memory.write(
    options.logSumExp,
    tf.concat(
      results.map(({ logSumExp }) => logSumExp),
      1,
    ),
  );
}

/** out (rows, heads · headLength) and logSumExp (heads, rows). */
function attendTile(
  context: TfjsContext,
  options: AttentionOptions,
  tile: QueryTile,
): { out: tfjs.Tensor2D; logSumExp: tfjs.Tensor2D } {
  const { tf } = context;
  const { heads, kvHeads, v } = options;
  const scores = maskedScores(context, options, tile);
  const largest = tf.max(scores, 2, true);
  const exponentials = tf.exp(tf.sub(scores, largest));
  const sums = tf.sum(exponentials, 2, true);
  const probabilities = grouped(context, tf.div(exponentials, sums), kvHeads);
  const product = tf.matMul(probabilities, keyRows(context, v, options, tile));
  return {
    out: byRow(context, tf.reshape(product, [heads, tile.rows, -1]) as tfjs.Tensor3D),
    logSumExp: tf.reshape(tf.add(tf.log(sums), largest), [heads, tile.rows]) as tfjs.Tensor2D,
  };
}

/**
 * Probabilities again tile by tile (Dao et al., FlashAttention, algorithm 4): dV += Pᵀ dOut, dP =
 * dOut Vᵀ, dS = P (dP − delta) · scale with delta = Σ dOut · out, dQ = dS K, dK += dSᵀ Q.
 */
export function attentionBackward(context: TfjsContext, options: AttentionBackwardOptions): void {
  const { tf, memory } = context;
  checkAttention('attentionBackward', options);
  assertShape('attentionBackward', options.dOut, options.out.shape);
  assertShape('attentionBackward', options.dQ, options.q.shape);
  assertShape('attentionBackward', options.dK, options.k.shape);
  assertShape('attentionBackward', options.dV, options.v.shape);
  const results = queryTiles(options.sequences).map((tiles) =>
    tf.tidy(() => pullBackSequence(context, options, tiles)),
  );
  if (results.length === 0) return;
  for (const name of ['dQ', 'dK', 'dV'] as const)
    memory.write(
      options[name],
      tf.concat(
        results.map((result) => result[name]),
        0,
      ),
    );
}

/** Gradients of a sequence or of a tile, as packed rows. */
type Gradients = Readonly<Record<'dQ' | 'dK' | 'dV', tfjs.Tensor2D>>;

function pullBackSequence(
  context: TfjsContext,
  options: AttentionBackwardOptions,
  tiles: readonly QueryTile[],
): Gradients {
  const { tf } = context;
  const length = tiles.at(-1)?.keys ?? 0;
  const results = tiles.map((tile) => tf.tidy(() => pullBackTile(context, options, tile)));
  const sum = (name: 'dK' | 'dV') =>
    results
      .map((result, i) =>
        tf.pad(result[name], [
          [0, length - at(tiles, i).keys],
          [0, 0],
        ]),
      )
      .reduce((total, part) => tf.add(total, part));
  return {
    dQ: tf.concat(
      results.map(({ dQ }) => dQ),
      0,
    ),
    dK: sum('dK'),
    dV: sum('dV'),
  };
}

function pullBackTile(
  context: TfjsContext,
  options: AttentionBackwardOptions,
  tile: QueryTile,
): Gradients {
  const { tf, memory } = context;
  const { heads, kvHeads, q, k, v, out, dOut, logSumExp, scale } = options;
  const rowsOf = (tensor: Tensor) =>
    byHead(context, tensor.rows(tile.row, tile.row + tile.rows), heads);
  const sums = tf.reshape(
    tf.slice(memory.float32<tfjs.Tensor2D>(logSumExp), [0, tile.row], [heads, tile.rows]),
    [heads, tile.rows, 1],
  );
  const probabilities = tf.exp(tf.sub(maskedScores(context, options, tile), sums));
  const gradient = rowsOf(dOut);
  const grouping = (x: tfjs.Tensor) => grouped(context, x, kvHeads);
  const dP = tf.matMul(grouping(gradient), keyRows(context, v, options, tile), false, true);
  const delta = tf.sum(tf.mul(gradient, rowsOf(out)), 2, true);
  const dS = grouping(
    tf.mul(tf.mul(probabilities, tf.sub(tf.reshape(dP, probabilities.shape), delta)), scale),
  );
  const dQ = tf.reshape(tf.matMul(dS, keyRows(context, k, options, tile)), [
    heads,
    tile.rows,
    -1,
  ]) as tfjs.Tensor3D;
  return {
    dQ: byRow(context, dQ),
    dK: byRow(context, tf.matMul(dS, grouping(rowsOf(q)), true, false)),
    dV: byRow(context, tf.matMul(grouping(probabilities), grouping(gradient), true, false)),
  };
}

/** scale · Q Kᵀ (heads, rows, keys), −∞ where a key comes after the query. */
function maskedScores(
  context: TfjsContext,
  { q, k, heads, kvHeads, scale }: AttentionOptions,
  tile: QueryTile,
): tfjs.Tensor3D {
  const { tf } = context;
  const { row, rows, keys } = tile;
  const queries = tf.mul(byHead(context, q.rows(row, row + rows), heads), scale);
  const products = tf.matMul(
    grouped(context, queries, kvHeads),
    keyRows(context, k, { kvHeads }, tile),
    false,
    true,
  );
  return tf.add(
    tf.reshape(products, [heads, rows, keys]),
    tf.tensor2d(causalMask(rows, keys), [rows, keys]),
  ) as tfjs.Tensor3D;
}

/** 0 where the last `rows` queries of `keys` positions see a key, −∞ elsewhere. */
function causalMask(rows: number, keys: number): Float32Array {
  const mask = new Float32Array(rows * keys);
  for (let row = 0; row < rows; row += 1)
    mask.fill(Number.NEGATIVE_INFINITY, row * keys + keys - rows + row + 1, (row + 1) * keys);
  return mask;
}

function keyRows(
  context: TfjsContext,
  tensor: Tensor,
  { kvHeads }: Pick<AttentionOptions, 'kvHeads'>,
  { start, keys }: QueryTile,
): tfjs.Tensor3D {
  return byHead(context, tensor.rows(start, start + keys), kvHeads);
}

/** (rows, heads · headLength) as (heads, rows, headLength). */
function byHead({ tf, memory }: TfjsContext, tensor: Tensor, heads: number): tfjs.Tensor3D {
  const [rows, width] = [tensor.dim(0), tensor.dim(1)];
  return tf.transpose(
    tf.reshape(memory.float32(tensor), [rows, heads, width / heads]),
    [1, 0, 2],
  ) as tfjs.Tensor3D;
}

/** (heads, rows, headLength) as (rows, heads · headLength). */
function byRow({ tf }: TfjsContext, x: tfjs.Tensor3D): tfjs.Tensor2D {
  const [heads, rows, headLength] = x.shape;
  return tf.reshape(tf.transpose(x, [1, 0, 2]), [rows, heads * headLength]) as tfjs.Tensor2D;
}

/**
 * (heads, rows, n) as (kvHeads, rows of all heads that share a key head, n), so that no product
 * broadcasts.
 */
function grouped({ tf }: TfjsContext, x: tfjs.Tensor, kvHeads: number): tfjs.Tensor3D {
  return tf.reshape(x, [kvHeads, -1, x.shape.at(-1) ?? 1]) as tfjs.Tensor3D;
}
