import { readFileSync } from 'node:fs';
import { DeviceError } from '@emloc/device';

/** `assembly/`, compiled. Addresses are byte offsets into `memory`, multiples of 16. */
export interface QuantizeKernels {
  readonly memory: WebAssembly.Memory;
  /** `count` bfloat16 at `x`, a multiple of 8, as float32 at `out`. */
  widen(x: number, count: number, out: number): void;
  /** Codes and scales of `count` float32 at `x`, whole blocks. */
  quantizeInt8(x: number, count: number, codes: number, scales: number): void;
  /** Likewise. */
  quantizeNf4(x: number, count: number, codes: number, scales: number): void;
}

let kernels: QuantizeKernels | undefined;

/** @throws DeviceError DEVICE_UNAVAILABLE when this Node has no WebAssembly SIMD */
export function quantizeKernels(): QuantizeKernels {
  return (kernels ??= instantiate());
}

function instantiate(): QuantizeKernels {
  try {
    const module = new WebAssembly.Module(
      readFileSync(new URL('./quantize.wasm', import.meta.url)),
    );
    return new WebAssembly.Instance(module).exports as unknown as QuantizeKernels;
  } catch (cause) {
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      'storage: the WebAssembly that quantises cannot be loaded (SIMD is required)',
      { cause },
    );
  }
}
