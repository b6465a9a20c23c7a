import type { AttentionBackwardOptions } from '@emloc/device';

import { assertShape } from '../checks.js';
import { ChunkBuffer } from '../chunk-buffer.js';
import type { CpuContext } from '../context.js';
import type { Matrix } from '../linear-algebra.js';
import { float32 } from '../memory.js';
import { checkAttention, largestTile, queryTiles, type QueryTile } from './attention-tiles.js';
import { headOf } from './attention.js';

interface TileScratch {
  readonly p: number;
  readonly dP: number;
  /** What lies at these addresses. */
  readonly pTile: Float32Array;
  readonly dPTile: Float32Array;
  /** The soft cap's slopes; 0 without one. */
  readonly slopes: number;
  /** A row's log Σ exp */
  readonly logSumExp: ChunkBuffer;
}

type HeadName = 'q' | 'k' | 'v' | 'dOut' | 'dQ' | 'dK' | 'dV';

/**
 * Scores again tile by tile (Dao et al., FlashAttention, algorithm 4): dV += Pᵀ dOut, dP = dOut Vᵀ,
 * dS = P (dP − delta) · slope · scale with delta = Σ dOut · out, which is Σ P · dP since a tile has
 * all keys of its rows, slope of the soft cap, dQ = dS K, dK += dSᵀ Q. Key heads sum over their
 * group and over tiles in ascending order.
 */
export function attentionBackward(context: CpuContext, options: AttentionBackwardOptions): void {
  const headLength = checkAttention('attentionBackward', options);
  const arrays = operands(options);
  arrays.dK.fill(0);
  arrays.dV.fill(0);
  const { heads, kvHeads, scale, softCap = null } = options;
  const logSumExp = float32(options.logSumExp);
  const rows = logSumExp.length / heads;
  const scratch = takeTiles(context, options);
  for (const tile of queryTiles(options)) {
    for (let head = 0; head < heads; head += 1) {
      const keyHead = Math.floor((head * kvHeads) / heads);
      const query = { row: tile.queryRow, head, width: heads * headLength, headLength };
      const key = { row: tile.keyRow, head: keyHead, width: kvHeads * headLength, headLength };
      const offset = head * rows + tile.queryRow;
      scratch.logSumExp.load(logSumExp, offset, offset + tile.rows);
      pullBackTile(context, scratch, {
        tile,
        headLength,
        scale,
        softCap,
        q: headOf(arrays.q, query),
        k: headOf(arrays.k, key),
        v: headOf(arrays.v, key),
        dOut: headOf(arrays.dOut, query),
        dQ: headOf(arrays.dQ, query),
        dK: headOf(arrays.dK, key),
        dV: headOf(arrays.dV, key),
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
    dOut: float32(dOut),
    dQ: float32(dQ),
    dK: float32(dK),
    dV: float32(dV),
  };
}

function takeTiles({ scratch }: CpuContext, options: AttentionBackwardOptions): TileScratch {
  const { rows, keys } = largestTile(options);
  const [p, dP] = [scratch.take(rows * keys * 4), scratch.take(rows * keys * 4)];
  return {
    p,
    dP,
    pTile: scratch.float32(p, rows * keys),
    dPTile: scratch.float32(dP, rows * keys),
    slopes: options.softCap === undefined ? 0 : scratch.take(rows * keys * 4),
    logSumExp: new ChunkBuffer(scratch, rows),
  };
}

type Head = Matrix<Float32Array>;

interface TileGradient extends Record<HeadName, Head> {
  readonly tile: QueryTile;
  readonly headLength: number;
  readonly scale: number;
  readonly softCap: number | null;
}

function pullBackTile(
  { linearAlgebra, wasm }: CpuContext,
  scratch: TileScratch,
  { tile, headLength, scale, softCap, q, k, v, dOut, dQ, dK, dV }: TileGradient,
): void {
  const { rows, keys, firstEnd, window } = tile;
  const p = { data: scratch.pTile, stride: keys };
  const dP = { data: scratch.dPTile, stride: keys };
  const scores = (a: Head, b: Head, out: Head, alpha: number): void =>
    linearAlgebra.sgemm({
      m: rows,
      n: keys,
      k: headLength,
      transposeA: false,
      transposeB: true,
      alpha,
      accumulate: false,
      a,
      b,
      out,
    });
  const towardsKeys = (a: Head, b: Head, out: Head): void =>
    linearAlgebra.sgemm({
      m: keys,
      n: headLength,
      k: rows,
      transposeA: true,
      transposeB: false,
      alpha: 1,
      accumulate: true,
      a,
      b,
      out,
    });
  scores(q, k, p, scale);
  if (softCap !== null) wasm.softCapRow(scratch.p, rows * keys, softCap, scratch.slopes);
  wasm.probabilityRows(scratch.p, rows, keys, firstEnd, window, scratch.logSumExp.address);
  scores(dOut, v, dP, 1);
  towardsKeys(p, dOut, dV);
  wasm.scoreGradients(scratch.p, scratch.dP, rows, keys, scale);
  if (softCap !== null) wasm.multiplyRow(scratch.dP, scratch.slopes, rows * keys);
  linearAlgebra.sgemm({
    m: rows,
    n: headLength,
    k: keys,
    transposeA: false,
    transposeB: false,
    alpha: 1,
    accumulate: false,
    a: dP,
    b: k,
    out: dQ,
  });
  towardsKeys(dP, q, dK);
}
