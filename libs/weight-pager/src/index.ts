export type { PagerOptions } from './options.js';
export { type Lease, openPager, type Pager } from './pager.js';
export {
  deviceBytes,
  type LayerSource,
  type LayerSpec,
  minimumDeviceBytes,
  streamingHostBytes,
  type TensorSpec,
} from './source.js';
export type { PagerEvent, PagerObserver, PagerStatistics } from './statistics.js';
