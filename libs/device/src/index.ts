export { elementCount, byteLength, type DType, type HostDType, bytesPerElement } from './dtype.js';
export { formatBytes, DeviceError, OutOfBudgetError } from './errors.js';
export { memoryCategories, type MemoryCategory, MemoryBudget, PeakScope } from './budget.js';
export { Tensor } from './tensor.js';
export {
  type AttentionMask,
  type RowRange,
  assertScoring,
  attendedKeys,
  attendedPairs,
  causalMask,
} from './attention-mask.js';
export {
  type SequenceLayout,
  type GemmOptions,
  type RmsNormOptions,
  type RmsNormBackwardOptions,
  type RopeOptions,
  type AttentionOptions,
  type AttentionBackwardOptions,
  type SwigluOptions,
  type SwigluBackwardOptions,
  type EmbeddingOptions,
  type ScatterRowsOptions,
  type BlockCopy,
  type CopyBlocksOptions,
  type OuterProduct,
  type OuterProductsOptions,
  type CrossEntropyOptions,
  type AddOptions,
  type AddBiasOptions,
  type FillOptions,
  type CastOptions,
  type SquaredNormsOptions,
  type AdamwOptions,
  type GramOptions,
  type EighOptions,
  type CholeskyOptions,
  type ScaleOptions,
  type LaunchedKernels,
  type Kernels,
  type KernelName,
  type KernelOptions,
  launchedKernelNames,
  factorizationNames,
} from './kernels.js';
export type { WorkspaceBytes, DeviceProfile } from './profile.js';
export {
  type HostArray,
  type HostBuffer,
  type StreamName,
  type DeviceEvent,
  type HostValues,
  type Backend,
  Device,
} from './device.js';
