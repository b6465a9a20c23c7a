import type { Device, Tensor } from '@emloc/device';

import { EmulatorError } from './errors.js';
import { orthonormalRows } from './orthonormal-rows.js';
import { PieceScope } from './piece-scope.js';
import { forEachConverted } from './row-chunks.js';
import type { StatisticValues } from './statistics.js';

export interface CorrectLayerOptions {
  readonly device: Device;
  /** W (out, in) of the original in the compute dtype. */
  readonly original: Tensor;
  /** U (out, k) and V (k, in) in the compute dtype: the bytes that the adapter was trained on. */
  readonly emulator: { readonly u: Tensor; readonly v: Tensor };
  /** A (r, in) float32 */
  readonly a: Tensor;
  /** B (out, r) float32 */
  readonly b: Tensor;
  /** s = alpha / r, or alpha / √r with rsLoRA */
  readonly scale: number;
  /**
   * Bytes of the pieces in which weights are converted to float32; 32 MiB unless told otherwise.
   */
  readonly pieceBytes?: number;
}

/** What any λ needs, row-major on the host. */
export interface LayerCorrection {
  /** A_c = Pᵀ (r, in), orthonormal rows */
  readonly aCorrected: Float32Array;
  /** B' = B Q Σ (out, r), so that B' Pᵀ = B A */
  readonly bRotated: Float32Array;
  /** Δ = (W − W_E) P / s (out, r) */
  readonly delta: Float32Array;
}

/**
 * What the original answers on the adapter's input subspace beyond the emulator (ALGORITHM.md,
 * section 4). W_E is never formed. Inputs stay the caller's; nothing is left on the device. What it
 * allocates depends on shapes alone.
 * @throws EmulatorError, OutOfBudgetError
 */
export async function correctLoraLayer(options: CorrectLayerOptions): Promise<LayerCorrection> {
  assertOperands(options);
  const { device, original, a, b, scale } = options;
  using scope = new PieceScope(device, `correction of ${original.label}`, options);
  const rotation = await rotate(scope, a);
  const { rows: aCorrected, norms } = await directionsOf(scope, rotation.rotatedA);
  const bRotated = await rotateB(scope, { b, rotation: rotation.q, norms });
  const p = scope.upload(aCorrected, { shape: a.shape, dtype: 'float32', label: 'P' });
  const delta = await hostOf(scope, difference(scope, options, { p, alpha: 1 / scale }));
  return { aCorrected, bRotated: asFloat32(device, bRotated), delta: asFloat32(device, delta) };
}

/**
 * Q from A Aᵀ = Q Σ² Qᵀ as rows of `q`, and Qᵀ A, whose rows are σ_i P[:,i]ᵀ. Both in the
 * statistics dtype.
 */
async function rotate(scope: PieceScope, a: Tensor): Promise<{ q: Tensor; rotatedA: Tensor }> {
  const { kernels, profile } = scope.device;
  const [rank, inFeatures] = [a.dim(0), a.dim(1)];
  const exact = scope.matrix([rank, inFeatures], 'A');
  kernels.cast({ x: a, out: exact });
  const q = scope.allocate({ shape: [rank, rank], dtype: profile.statisticsDType, label: 'A Aᵀ' });
  kernels.gemm({ a: exact, b: exact, transposeB: true, out: q });
  const values = scope.matrix([rank], 'squared singular values');
  await kernels.eigh({ a: q, values });
  const rotatedA = scope.matrix([rank, inFeatures], 'Qᵀ A');
  kernels.gemm({ a: q, b: exact, out: rotatedA });
  scope.free(values, exact);
  return { q, rotatedA };
}

/** Rows of Qᵀ A (r, in), which is freed, as unit vectors, and their norms. */
async function directionsOf(
  scope: PieceScope,
  rotatedA: Tensor,
): Promise<{ rows: Float32Array; norms: Float64Array }> {
  const [rank, inFeatures] = [rotatedA.dim(0), rotatedA.dim(1)];
  const values = await hostOf(scope, rotatedA);
  const blank = scope.device.blank(values.length);
  if (blank) return { rows: blank, norms: new Float64Array(rank) };
  return orthonormalRows(values, rank, inFeatures);
}

/** B Q Σ (out, r). */
async function rotateB(
  scope: PieceScope,
  { b, rotation, norms }: { b: Tensor; rotation: Tensor; norms: Float64Array },
): Promise<StatisticValues> {
  const { kernels } = scope.device;
  const exact = scope.matrix(b.shape, 'B');
  kernels.cast({ x: b, out: exact });
  const scale = scope.uploadMatrix(norms, [norms.length], 'singular values');
  kernels.scale({ x: rotation, scale, along: 'rows', out: rotation });
  const rotated = scope.matrix(b.shape, 'B Q Σ');
  kernels.gemm({ a: exact, b: rotation, transposeB: true, out: rotated });
  scope.free(scale, exact, rotation);
  return hostOf(scope, rotated);
}

/** alpha · (W P − U (V P)) (out, r) float32, with Pᵀ = p (r, in). */
function difference(
  scope: PieceScope,
  { original, emulator }: CorrectLayerOptions,
  { p, alpha }: { p: Tensor; alpha: number },
): Tensor {
  const inner = productWithRows(scope, emulator.v, p);
  const out = productWithRows(scope, original, p);
  forEachConverted(scope, { x: emulator.u, dtype: 'float32' }, (piece, start, end) => {
    scope.device.kernels.gemm({
      a: piece,
      b: inner,
      out: out.rows(start, end),
      alpha: -1,
      accumulate: true,
    });
  });
  scope.free(inner, p);
  const scales = scope.upload(new Float64Array(p.dim(0)).fill(alpha), {
    shape: [p.dim(0)],
    dtype: 'float32',
    label: '1 / s',
  });
  scope.device.kernels.scale({ x: out, scale: scales, along: 'columns', out });
  scope.free(scales);
  return out;
}

/** x pᵀ (rows, r) in float32 for x (rows, n) in the compute dtype and p (r, n) float32. */
function productWithRows(scope: PieceScope, x: Tensor, p: Tensor): Tensor {
  const out = scope.allocate({
    shape: [x.dim(0), p.dim(0)],
    dtype: 'float32',
    label: `${x.label} P`,
  });
  forEachConverted(scope, { x, dtype: 'float32' }, (piece, start, end) => {
    scope.device.kernels.gemm({ a: piece, b: p, transposeB: true, out: out.rows(start, end) });
  });
  return out;
}

function asFloat32(device: Device, values: StatisticValues): Float32Array {
  if (values instanceof Float32Array) return values;
  return device.blank(values.length) ?? new Float32Array(values);
}

/** Values of a tensor, which is freed. */
async function hostOf(scope: PieceScope, tensor: Tensor): Promise<StatisticValues> {
  const values = await scope.device.download(tensor);
  scope.free(tensor);
  return values as StatisticValues;
}

function assertOperands({ original, emulator, a, b, scale }: CorrectLayerOptions): void {
  const [out, inFeatures] = [original.dim(0), original.dim(1)];
  const rank = a.dim(0);
  const inner = emulator.v.dim(0);
  const expected: readonly (readonly [string, Tensor, readonly number[]])[] = [
    ['A', a, [rank, inFeatures]],
    ['B', b, [out, rank]],
    ['U', emulator.u, [out, inner]],
    ['V', emulator.v, [inner, inFeatures]],
  ];
  for (const [name, tensor, shape] of expected) {
    if (tensor.shape.join() === shape.join()) continue;
    throw new EmulatorError(
      'EMULATOR_SHAPE_MISMATCH',
      `correction of ${original.label} [${original.shape.join()}]: ${name} has shape [${tensor.shape.join()}], [${shape.join()}] expected`,
    );
  }
  if (rank > inFeatures) {
    throw new EmulatorError(
      'EMULATOR_INVALID_RANK',
      `correction of ${original.label}: adapter rank ${rank} given, at most its ${inFeatures} inputs expected`,
    );
  }
  if (Number.isFinite(scale) && scale > 0) return;
  throw new EmulatorError(
    'EMULATOR_INVALID_SCALE',
    `correction of ${original.label}: adapter scale ${scale} given, a positive number expected`,
  );
}
