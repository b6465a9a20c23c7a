export type { PagerOptions } from './options.js';
export { type Lease, openPager, type Pager } from './pager.js';
export { quantizedSource } from './quantized-source.js';
export {
  allDeviceBytes,
  type LayerSource,
  type LayerSpec,
  minimumDeviceBytes,
  streamingHostBytes,
  type TensorSpec,
  wholeDeviceBytes,
} from './source.js';
export type { PagerEvent, PagerObserver, PagerStatistics } from './statistics.js';
