export { elementCount, byteLength, type DType, type HostDType, bytesPerElement } from './dtype.js';
export { parseBytes } from './bytes.js';
export { formatBytes, DeviceError, OutOfBudgetError } from './errors.js';
export {
  memoryCategories,
  type MemoryCategory,
  type Reservation,
  MemoryBudget,
  PeakScope,
} from './budget.js';
export { Tensor } from './tensor.js';
export { sharedFloats, sharedZeros } from './shared-zeros.js';
export { TensorScope } from './tensor-scope.js';
export { assertDivides } from './checks.js';
export {
  type AttentionMask,
  type RowRange,
  assertScoring,
  attendedKeys,
  attendedPairs,
  causalMask,
  relativeReach,
} from './attention-mask.js';
export type { CacheLayout } from './cache-layout.js';
export type { Grid, SequenceLayout } from './sequence-layout.js';
export type { Work } from './work.js';
export type { Prepare, Probe, ProbeOperands, ProbeShape } from './probe.js';
export type {
  ActivationKind,
  ActivationOptions,
  ActivationBackwardOptions,
} from './kernels/activation.js';
export type { AdamwOptions } from './kernels/adamw.js';
export type { AddBiasOptions } from './kernels/add-bias.js';
export type { AddOptions } from './kernels/add.js';
export type { AttentionOptions, AttentionBackwardOptions } from './kernels/attention.js';
export type { CastOptions } from './kernels/cast.js';
export type {
  CausalConvolutionOptions,
  CausalConvolutionBackwardOptions,
} from './kernels/causal-convolution.js';
export type { CholeskyOptions } from './kernels/cholesky.js';
export type { BlockCopy, CopyBlocksOptions } from './kernels/copy-blocks.js';
export type { CrossEntropyOptions } from './kernels/cross-entropy.js';
export type { DecodeAttentionOptions } from './kernels/decode-attention.js';
export type { DeltaGatesOptions, DeltaGatesBackwardOptions } from './kernels/delta-gates.js';
export { fromFloat16 } from './float16.js';
export type { DequantizeOptions } from './kernels/dequantize.js';
export type { DoraGateBackwardOptions, DoraGateOptions } from './kernels/dora-gate.js';
export { dropoutThreshold, type DropoutOptions } from './kernels/dropout.js';
export type { EighOptions } from './kernels/eigh.js';
export type { FillOptions } from './kernels/fill.js';
export type {
  GatedActivationKind,
  GatedActivationOptions,
  GatedActivationBackwardOptions,
} from './kernels/gated-activation.js';
export type { GatedAddOptions, GatedAddBackwardOptions } from './kernels/gated-add.js';
export {
  type GatedDeltaRuleOptions,
  type GatedDeltaRuleBackwardOptions,
  deltaChunkRows,
  deltaChunks,
  mostDeltaChunks,
} from './kernels/gated-delta-rule.js';
export { assertPatches, type GatherPatchesOptions } from './kernels/gather-patches.js';
export type { GatherRowsOptions } from './kernels/gather-rows.js';
export type { GemmOptions } from './kernels/gemm.js';
export type { GramOptions } from './kernels/gram.js';
export type { GroupNormOptions } from './kernels/group-norm.js';
export type { L2NormOptions, L2NormBackwardOptions } from './kernels/l2-norm.js';
export type { LayerNormOptions, LayerNormBackwardOptions } from './kernels/layer-norm.js';
export type { ModulateOptions, ModulateBackwardOptions } from './kernels/modulate.js';
export type { MseLossOptions } from './kernels/mse-loss.js';
export type { OuterProduct, OuterProductsOptions } from './kernels/outer-products.js';
export type { ProdigyMomentsOptions } from './kernels/prodigy-moments.js';
export type { ProdigyUpdateOptions } from './kernels/prodigy-update.js';
export type { RmsNormOptions, RmsNormBackwardOptions } from './kernels/rms-norm.js';
export type { RopeOptions } from './kernels/rope.js';
export type { ScaleByOptions } from './kernels/scale-by.js';
export type { ScaleOptions } from './kernels/scale.js';
export type { ScatterRowsOptions } from './kernels/scatter-rows.js';
export type { SolveTriangularOptions } from './kernels/solve-triangular.js';
export type { SquaredNormsOptions } from './kernels/squared-norms.js';
export {
  type LaunchedKernels,
  type Kernels,
  type KernelName,
  type KernelOptions,
  kernelDefinitions,
  factorizations,
  launchedKernelNames,
  factorizationNames,
} from './kernels/index.js';
export {
  nf4Values,
  quantizedBits,
  quantizedBlock,
  quantizedFormats,
  quantizedLayout,
  type QuantizedFormat,
} from './quantization.js';
export type { WorkspaceBytes, DeviceProfile } from './profile.js';
export { type KernelRate, type DeviceRates, type LaunchRates, roughRates } from './rates.js';
export type { DeviceTarget } from './target.js';
export {
  type HostArray,
  type HostBuffer,
  type StreamName,
  type DeviceEvent,
  type HostValues,
  type Backend,
  Device,
} from './device.js';
export type { LaunchGraph, LaunchRecorder, RecordedWork } from './recorder.js';
export { launchedAsItComes, repeatsOn, type Repeats } from './repeats.js';
