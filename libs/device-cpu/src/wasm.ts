import { readFileSync } from 'node:fs';
import { DeviceError } from '@emloc/device';

type PackRows = (
  from: number,
  stride: number,
  count: number,
  depth: number,
  strip: number,
  to: number,
) => void;

type PackColumns = (
  from: number,
  stride: number,
  rows: number,
  count: number,
  depth: number,
  strip: number,
  to: number,
) => void;

type MultiplyBlock = (
  rows: number,
  columns: number,
  k: number,
  a: number,
  b: number,
  c: number,
  stride: number,
  alpha: number,
  accumulate: boolean,
  tile: number,
) => void;

/** How one element type is multiplied. */
export interface ProductKernels {
  readonly packRows: PackRows;
  readonly packColumns: PackColumns;
  readonly multiplyBlock: MultiplyBlock;
}

/** The kernels of `assembly/`, compiled. Addresses are byte offsets into `memory`. */
export interface WasmKernels {
  readonly memory: WebAssembly.Memory;
  /** Whether products and sums of `sgemmBlock` and `dgemmBlock` are rounded as one: 0 or 1. */
  isFused(): number;
  readonly spackRows: PackRows;
  readonly dpackRows: PackRows;
  readonly spackColumns: PackColumns;
  readonly dpackColumns: PackColumns;
  sgemmStripRows(): number;
  readonly sgemmBlock: MultiplyBlock;
  readonly dgemmBlock: MultiplyBlock;
  softmaxRows(
    scores: number,
    rows: number,
    stride: number,
    firstEnd: number,
    window: number,
    sink: number,
    maxima: number,
    sums: number,
  ): void;
  probabilityRows(
    scores: number,
    rows: number,
    stride: number,
    firstEnd: number,
    window: number,
    logSumExp: number,
  ): void;
  softCapRow(x: number, count: number, cap: number, slopes: number): void;
  multiplyRow(x: number, factors: number, count: number): void;
  scoreGradients(p: number, dp: number, rows: number, stride: number, scale: number): void;
  activationForward(kind: number, x: number, count: number): void;
  activationBackward(kind: number, dOut: number, x: number, count: number): void;
  gatedForward(kind: number, gate: number, up: number, count: number, limit: number): void;
  gatedBackward(
    kind: number,
    dOut: number,
    gate: number,
    up: number,
    count: number,
    limit: number,
    again: boolean,
  ): void;
  capRow(x: number, count: number, cap: number): void;
  capSlopes(gradient: number, capped: number, count: number, factor: number, cap: number): void;
  expRow(x: number, count: number, shift: number): number;
  scaleRow(x: number, count: number, factor: number): void;
  maxRow(x: number, count: number): number;
  indexOf(x: number, count: number, value: number): number;
  rmsNormRows(
    x: number,
    rows: number,
    width: number,
    gains: number,
    epsilon: number,
    inverses: number,
  ): void;
  rmsNormBackwardRows(
    dOut: number,
    x: number,
    rows: number,
    width: number,
    gains: number,
    inverses: number,
    dX: number,
    accumulate: boolean,
    again: boolean,
  ): void;
  layerNormRows(
    x: number,
    rows: number,
    width: number,
    gains: number,
    shifts: number,
    epsilon: number,
    means: number,
    inverses: number,
  ): void;
  layerNormBackwardRows(
    dOut: number,
    x: number,
    rows: number,
    width: number,
    gains: number,
    means: number,
    inverses: number,
    dX: number,
    accumulate: boolean,
  ): void;
  ropeRows(
    x: number,
    rows: number,
    heads: number,
    headDim: number,
    cosines: number,
    sines: number,
    half: number,
    sign: number,
    adjacent: boolean,
  ): void;
  addRow(out: number, x: number, count: number): void;
  addScaledRow(out: number, x: number, count: number, alpha: number): void;
  addBiasRows(out: number, rows: number, width: number, bias: number): void;
  scaleColumns(x: number, rows: number, width: number, factors: number): void;
  adamwRow(
    values: number,
    gradients: number,
    first: number,
    second: number,
    count: number,
    scale: number,
    beta1: number,
    beta2: number,
    stepSize: number,
    correction: number,
    epsilon: number,
    decay: number,
  ): void;
  squaredSum(x: number, count: number): number;
  dropoutRow(
    x: number,
    out: number,
    count: number,
    first: number,
    stream: number,
    k0: number,
    k1: number,
    threshold: number,
    factor: number,
    accumulate: boolean,
  ): void;
}

/**
 * @param relaxed whether to take the kernels that are compiled with relaxed SIMD, which round a
 * product and its sum as one. Default: where the engine and the processor do
 * @throws DeviceError DEVICE_UNAVAILABLE when this Node has no WebAssembly SIMD, or not the relaxed
 * one that was asked for
 */
export function instantiateKernels(relaxed?: boolean): WasmKernels {
  const fused = relaxed === false ? null : relaxedModule(relaxed === true);
  if (relaxed && !fused) {
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      'cpu device: WebAssembly has no relaxed SIMD here, or the processor does not fuse products and sums',
    );
  }
  return instantiate(fused ?? plainModule());
}

/** Compiled once a process. */
let relaxedKernels: WebAssembly.Module | undefined;

/** Null where it cannot be had, or does not fuse. What is compiled stays good if asked for. */
function relaxedModule(isAskedFor: boolean): WebAssembly.Module | null {
  if (!isAskedFor || !relaxedKernels) {
    const bytes = readFileSync(new URL('./kernels-relaxed.wasm', import.meta.url));
    if (!WebAssembly.validate(bytes)) return null;
    relaxedKernels ??= new WebAssembly.Module(bytes);
  }
  return instantiate(relaxedKernels).isFused() ? relaxedKernels : null;
}

let plainKernels: WebAssembly.Module | undefined;

function plainModule(): WebAssembly.Module {
  try {
    plainKernels ??= new WebAssembly.Module(
      readFileSync(new URL('./kernels.wasm', import.meta.url)),
    );
    return plainKernels;
  } catch (cause) {
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      'cpu device: its WebAssembly kernels cannot be loaded (SIMD is required)',
      { cause },
    );
  }
}

function instantiate(module: WebAssembly.Module): WasmKernels {
  return new WebAssembly.Instance(module).exports as unknown as WasmKernels;
}
