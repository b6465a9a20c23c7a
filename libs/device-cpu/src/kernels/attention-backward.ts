import type { AttentionBackwardOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import type { CpuContext } from '../context.js';
import type { Matrix } from '../linear-algebra.js';
import { float32 } from '../memory.js';
import { dotProduct } from '../sums.js';
import { checkAttention, largestTile, queryTiles, type QueryTile } from './attention-tiles.js';
import { headOf } from './attention.js';

interface TileScratch {
  readonly p: number;
  readonly dP: number;
  /** The soft cap's slopes; 0 without one. */
  readonly slopes: number;
  /** float32 a row: log Σ exp, then delta */
  readonly rowValues: number;
}

type HeadName = 'q' | 'k' | 'v' | 'out' | 'dOut' | 'dQ' | 'dK' | 'dV';

/**
 * Scores again tile by tile (Dao et al., FlashAttention, algorithm 4): dV += Pᵀ dOut, dP = dOut Vᵀ,
 * dS = P (dP − delta) · slope · scale with delta = Σ dOut · out, slope of the soft cap, dQ = dS K,
 * dK += dSᵀ Q. Key heads sum over their group and over tiles in ascending order.
 */
export function attentionBackward(context: CpuContext, options: AttentionBackwardOptions): void {
  const headLength = checkAttention('attentionBackward', options);
  const arrays = operands(options);
  arrays.dK.fill(0);
  arrays.dV.fill(0);
  const { heads, kvHeads } = options;
  const logSumExp = float32(options.logSumExp);
  const scratch = takeTiles(context, options);
  for (const tile of queryTiles(options)) {
    for (let head = 0; head < heads; head += 1) {
      const keyHead = Math.floor((head * kvHeads) / heads);
      const query = { row: tile.queryRow, head, width: heads * headLength, headLength };
      const key = { row: tile.keyRow, head: keyHead, width: kvHeads * headLength, headLength };
      const of = (name: HeadName, isKey: boolean) => headOf(arrays[name], isKey ? key : query);
      const offset = head * (logSumExp.length / heads) + tile.queryRow;
      context.scratch
        .float32(scratch.rowValues, tile.rows)
        .set(logSumExp.subarray(offset, offset + tile.rows));
      pullBackTile(context, scratch, {
        tile,
        headLength,
        scale: options.scale,
        softCap: options.softCap ?? null,
        q: of('q', false),
        k: of('k', true),
        v: of('v', true),
        out: of('out', false),
        dOut: of('dOut', false),
        dQ: of('dQ', false),
        dK: of('dK', true),
        dV: of('dV', true),
      });
    }
  }
}

function operands(options: AttentionBackwardOptions): Record<HeadName, Float32Array> {
  const { q, k, v, out, dOut, dQ, dK, dV } = options;
  assertShape('attentionBackward', dOut, out.shape);
  assertShape('attentionBackward', dQ, q.shape);
  assertShape('attentionBackward', dK, k.shape);
  assertShape('attentionBackward', dV, v.shape);
  return {
    q: float32(q),
    k: float32(k),
    v: float32(v),
    out: float32(out),
    dOut: float32(dOut),
    dQ: float32(dQ),
    dK: float32(dK),
    dV: float32(dV),
  };
}

function takeTiles({ scratch }: CpuContext, options: AttentionBackwardOptions): TileScratch {
  const { rows, keys } = largestTile(options);
  return {
    p: scratch.take(rows * keys * 4),
    dP: scratch.take(rows * keys * 4),
    slopes: options.softCap === undefined ? 0 : scratch.take(rows * keys * 4),
    rowValues: scratch.take(rows * 4),
  };
}

interface TileGradient extends Record<HeadName, Matrix<Float32Array>> {
  readonly tile: QueryTile;
  readonly headLength: number;
  readonly scale: number;
  readonly softCap: number | null;
}

function pullBackTile(
  { linearAlgebra, scratch, wasm }: CpuContext,
  addresses: TileScratch,
  gradient: TileGradient,
): void {
  const {
    tile: { rows, keys, firstEnd, window },
    headLength,
    scale,
    softCap,
    q,
    k,
    v,
    out,
    dOut,
    dQ,
    dK,
    dV,
  } = gradient;
  const p = { data: scratch.float32(addresses.p, rows * keys), stride: keys };
  const dP = { data: scratch.float32(addresses.dP, rows * keys), stride: keys };
  const scores = { m: rows, n: keys, k: headLength, transposeB: true, accumulate: false };
  linearAlgebra.sgemm({ ...scores, a: q, b: k, out: p, alpha: scale });
  if (softCap !== null) wasm.softCapRow(addresses.p, rows * keys, softCap, addresses.slopes);
  wasm.probabilityRows(addresses.p, rows, keys, firstEnd, window, addresses.rowValues);
  linearAlgebra.sgemm({ ...scores, a: dOut, b: v, out: dP, alpha: 1 });
  writeDeltas(dOut, out, headLength, scratch.float32(addresses.rowValues, rows));
  const towardsKeys = {
    m: keys,
    n: headLength,
    k: rows,
    transposeA: true,
    alpha: 1,
    accumulate: true,
  };
  linearAlgebra.sgemm({ ...towardsKeys, a: p, b: dOut, out: dV });
  wasm.scoreGradients(addresses.p, addresses.dP, rows, keys, addresses.rowValues, scale);
  if (softCap !== null) wasm.multiplyRow(addresses.dP, addresses.slopes, rows * keys);
  linearAlgebra.sgemm({
    m: rows,
    n: headLength,
    k: keys,
    a: dP,
    b: k,
    out: dQ,
    alpha: 1,
    accumulate: false,
  });
  linearAlgebra.sgemm({ ...towardsKeys, a: dP, b: q, out: dK });
}

function writeDeltas(
  dOut: Matrix<Float32Array>,
  out: Matrix<Float32Array>,
  headLength: number,
  deltas: Float32Array,
): void {
  for (let row = 0; row < deltas.length; row += 1) {
    deltas[row] = dotProduct(dOut.data, row * dOut.stride, out.data, row * out.stride, headLength);
  }
}
