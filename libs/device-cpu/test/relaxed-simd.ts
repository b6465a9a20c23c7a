import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

import { instantiateKernels } from '../src/wasm.js';

const flag = 'experimental-wasm-relaxed-simd';

/** Whether fused kernels work here; Node 20 has relaxed SIMD behind a flag, set for them only. */
export const hasRelaxedSimd = compileRelaxed();

function compileRelaxed(): boolean {
  const kernels = readFileSync(new URL('../src/kernels-relaxed.wasm', import.meta.url));
  const isBehindFlag = !WebAssembly.validate(kernels);
  if (isBehindFlag) setFlagsFromString(`--${flag}`);
  try {
    return instantiateKernels(true).isFused() === 1;
  } catch {
    return false;
  } finally {
    if (isBehindFlag) setFlagsFromString(`--no-${flag}`);
  }
}
