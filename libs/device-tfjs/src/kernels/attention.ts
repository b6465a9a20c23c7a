import { at, last } from '@emloc/checked';
import {
  attendedKeys,
  causalMask,
  relativeReach,
  type AttentionBackwardOptions,
  type AttentionMask,
  type AttentionOptions,
  type Tensor,
} from '@emloc/device';
import { assertShape, checkAttention } from '@emloc/device-cpu';
import type * as tfjs from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/** Query rows whose scores exist at once. */
export const tileRows = 128;

/** A block of queries of one sequence, and the keys that they attend to. */
interface QueryTile {
  /** First row of the sequence, of the queries and of the keys in the packed tensors. */
  readonly start: number;
  readonly row: number;
  readonly keyRow: number;
  readonly rows: number;
  readonly keys: number;
}

/** The tiles of every sequence that has rows. */
function queryTiles({ sequences, mask = causalMask }: AttentionOptions): QueryTile[][] {
  const { offsets } = sequences;
  const tilesOfSequences: QueryTile[][] = [];
  for (let sequence = 1; sequence < offsets.length; sequence += 1) {
    const [start, end] = [at(offsets, sequence - 1), at(offsets, sequence)];
    const tiles: QueryTile[] = [];
    for (let row = start; row < end; row += tileRows) {
      const rows = Math.min(tileRows, end - row);
      const queries = { first: row - start, end: row - start + rows };
      const keys = attendedKeys(mask, queries, end - start);
      const keyRow = start + keys.first;
      tiles.push({ start, row, keyRow, rows, keys: keys.end - keys.first });
    }
    if (tiles.length > 0) tilesOfSequences.push(tiles);
  }
  return tilesOfSequences;
}

/** Tile by tile: scores of all heads, softmax, product with the values. */
export function attention(context: TfjsContext, options: AttentionOptions): void {
  const { tf, memory } = context;
  checkAttention('attention', options);
  const results = queryTiles(options)
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
  const scores = biased(
    context,
    options,
    tile,
    maskedScores(context, options, tile, scaledProducts(context, options, tile)),
  );
  const sinks = sinksOf(context, options);
  const largestKey = tf.max(scores, 2, true);
  const largest = sinks ? tf.maximum(largestKey, sinks) : largestKey;
  const exponentials = tf.exp(tf.sub(scores, largest));
  const keySums = tf.sum(exponentials, 2, true);
  const sums = sinks ? tf.add(keySums, tf.exp(tf.sub(sinks, largest))) : keySums;
  const probabilities = grouped(context, tf.div(exponentials, sums), kvHeads);
  const product = tf.matMul(probabilities, keyRows(context, v, options, tile));
  return {
    out: byRow(context, tf.reshape(product, [heads, tile.rows, -1]) as tfjs.Tensor3D),
    logSumExp: tf.reshape(tf.add(tf.log(sums), largest), [heads, tile.rows]) as tfjs.Tensor2D,
  };
}

/** Scores and the bias of each key's distance from each query. */
function biased(
  { tf, memory }: TfjsContext,
  { relativeBias, heads }: AttentionOptions,
  { row, keyRow, rows, keys }: QueryTile,
  scores: tfjs.Tensor3D,
): tfjs.Tensor3D {
  if (!relativeBias) return scores;
  const reach = relativeReach('attention', relativeBias, heads);
  const entries = Int32Array.from({ length: rows * keys }, (_, i) => {
    const distance = keyRow + (i % keys) - row - Math.floor(i / keys);
    return reach + Math.min(Math.max(distance, -reach), reach);
  });
  return tf.tidy(() => {
    const table = tf.transpose(memory.float32<tfjs.Tensor2D>(relativeBias));
    const biases = tf.gather(table, tf.tensor1d(entries, 'int32'), 1);
    return tf.add(scores, tf.reshape(biases, [heads, rows, keys]));
  });
}

/** (heads, 1, 1) */
function sinksOf({ tf, memory }: TfjsContext, { sinks, heads }: AttentionOptions) {
  return sinks && tf.reshape(memory.float32(sinks), [heads, 1, 1]);
}

/**
 * Probabilities again tile by tile (Dao et al., FlashAttention, algorithm 4): dV += Pᵀ dOut, dP =
 * dOut Vᵀ, dS = P (dP − delta) · slope · scale with delta = Σ dOut · out and the soft cap's slope,
 * dQ = dS K, dK += dSᵀ Q.
 */
export function attentionBackward(context: TfjsContext, options: AttentionBackwardOptions): void {
  const { tf, memory } = context;
  checkAttention('attentionBackward', options);
  assertShape('attentionBackward', options.dOut, options.out.shape);
  assertShape('attentionBackward', options.dQ, options.q.shape);
  assertShape('attentionBackward', options.dK, options.k.shape);
  assertShape('attentionBackward', options.dV, options.v.shape);
  const results = queryTiles(options).map((tiles) =>
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
  const { start, row, rows } = last(tiles);
  const length = row + rows - start;
  const results = tiles.map((tile) => tf.tidy(() => pullBackTile(context, options, tile)));
  const sum = (name: 'dK' | 'dV') =>
    results
      .map((result, i) => {
        const { keyRow, keys } = at(tiles, i);
        const before = keyRow - start;
        return tf.pad(result[name], [
          [before, length - before - keys],
          [0, 0],
        ]);
      })
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
  const { heads, kvHeads, q, k, v, out, dOut, logSumExp, scale, softCap } = options;
  const rowsOf = (tensor: Tensor) =>
    byHead(context, tensor.rows(tile.row, tile.row + tile.rows), heads);
  const sums = tf.reshape(
    tf.slice(memory.float32<tfjs.Tensor2D>(logSumExp), [0, tile.row], [heads, tile.rows]),
    [heads, tile.rows, 1],
  );
  const products = scaledProducts(context, options, tile);
  const probabilities = tf.exp(tf.sub(maskedScores(context, options, tile, products), sums));
  const gradient = rowsOf(dOut);
  const grouping = (x: tfjs.Tensor) => grouped(context, x, kvHeads);
  const dP = tf.matMul(grouping(gradient), keyRows(context, v, options, tile), false, true);
  const delta = tf.sum(tf.mul(gradient, rowsOf(out)), 2, true);
  const dScores = tf.mul(
    tf.mul(probabilities, tf.sub(tf.reshape(dP, probabilities.shape), delta)),
    scale,
  );
  const dS = grouping(
    softCap === undefined ? dScores : tf.mul(dScores, slopes(context, products, softCap)),
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

/** scale · Q Kᵀ (heads, rows, keys). */
function scaledProducts(
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
  return tf.reshape(products, [heads, rows, keys]);
}

/** The products under the soft cap, −∞ where a query does not attend to a key. */
function maskedScores(
  { tf }: TfjsContext,
  { softCap, mask = causalMask }: AttentionOptions,
  tile: QueryTile,
  products: tfjs.Tensor3D,
): tfjs.Tensor3D {
  const scores =
    softCap === undefined
      ? products
      : tf.tidy(() => tf.mul<tfjs.Tensor3D>(tf.tanh(tf.div(products, softCap)), softCap));
  if (mask.kind === 'none') return scores;
  return tf.add(scores, tf.tensor2d(maskOf(mask, tile), [tile.rows, tile.keys]));
}

/** 1 − tanh² of products over the soft cap; e = exp(−2 |x|) keeps its last bits: 4 e / (1 + e)². */
function slopes({ tf }: TfjsContext, products: tfjs.Tensor3D, softCap: number): tfjs.Tensor {
  return tf.tidy(() => {
    const e = tf.exp(tf.mul(tf.abs(products), -2 / softCap));
    return tf.div(tf.mul(e, 4), tf.square(tf.add(e, 1)));
  });
}

/** 0 where a query of the tile attends to a key, −∞ elsewhere. */
function maskOf(mask: AttentionMask, { row, keyRow, rows, keys }: QueryTile): Float32Array {
  const values = new Float32Array(rows * keys);
  for (let i = 0; i < rows; i += 1) {
    const own = row - keyRow + i;
    const first = mask.kind === 'window' ? Math.max(0, own - mask.window + 1) : 0;
    values.fill(Number.NEGATIVE_INFINITY, i * keys, i * keys + first);
    values.fill(Number.NEGATIVE_INFINITY, i * keys + own + 1, (i + 1) * keys);
  }
  return values;
}

function keyRows(
  context: TfjsContext,
  tensor: Tensor,
  { kvHeads }: Pick<AttentionOptions, 'kvHeads'>,
  { keyRow, keys }: QueryTile,
): tfjs.Tensor3D {
  return byHead(context, tensor.rows(keyRow, keyRow + keys), kvHeads);
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
