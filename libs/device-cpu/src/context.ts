import type { LinearAlgebra } from './linear-algebra.js';
import type { Scratch } from './scratch.js';
import type { WasmKernels } from './wasm.js';

/** What kernels work with. */
export interface CpuContext {
  readonly linearAlgebra: LinearAlgebra;
  readonly scratch: Scratch;
  readonly wasm: WasmKernels;
}
