export { createCpuBackend } from './backend.js';
export { describeCpu } from './create-linear-algebra.js';
export { cpuProfile } from './profile.js';
export {
  assertIndices,
  assertTargets,
  assertSequences,
  assertShape,
  assertSize,
  matrix,
  partnerOf,
  rowsAndColumns,
} from './checks.js';
export { convert, elementsOf } from './convert.js';
export { type HostFactorizations, hostFactorizations } from './host-factorizations.js';
export { checkAttention } from './kernels/attention-tiles.js';
export { checkDecodeAttention } from './kernels/decode-attention.js';
export { dequantizeWords } from './kernels/dequantize.js';
export { dropoutFactors } from './kernels/dropout.js';
export { ropeExtents } from './kernels/rope.js';
