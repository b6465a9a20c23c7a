import { readFileSync } from 'node:fs';
import { DeviceError } from '@emloc/device';

/** The kernels of `assembly/`, compiled. Addresses are byte offsets into `memory`. */
export interface WasmKernels {
  readonly memory: WebAssembly.Memory;
  sgemmBlock(rows: number, columns: number, k: number, a: number, b: number, c: number): void;
  dgemmBlock(rows: number, columns: number, k: number, a: number, b: number, c: number): void;
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
  scoreGradients(
    p: number,
    dp: number,
    rows: number,
    stride: number,
    delta: number,
    scale: number,
  ): void;
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
  ): void;
  capRow(x: number, count: number, cap: number): void;
  capSlopes(gradient: number, capped: number, count: number, factor: number, cap: number): void;
  expRow(x: number, count: number, shift: number): number;
  scaleRow(x: number, count: number, factor: number): void;
  maxRow(x: number, count: number): number;
  indexOf(x: number, count: number, value: number): number;
}

/** @throws DeviceError DEVICE_UNAVAILABLE when this Node has no WebAssembly SIMD. */
export function instantiateKernels(): WasmKernels {
  const file = new URL('./kernels.wasm', import.meta.url);
  try {
    const module = new WebAssembly.Module(readFileSync(file));
    return new WebAssembly.Instance(module).exports as unknown as WasmKernels;
  } catch (cause) {
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      'cpu device: its WebAssembly kernels cannot be loaded (SIMD is required)',
      { cause },
    );
  }
}
