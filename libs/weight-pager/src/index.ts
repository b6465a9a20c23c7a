export { PagerError, type PagerErrorCode } from './errors.js';
export type { PagerOptions } from './options.js';
export { type Lease, openPager, type Pager } from './pager.js';
export {
  deviceBytes,
  hostLayout,
  type HostLayout,
  type LayerSource,
  type LayerSpec,
  minimumDeviceBytes,
  storedBytes,
  streamingHostBytes,
  type TensorSpec,
} from './source.js';
export type { PagerEvent, PagerObserver, PagerStatistics } from './statistics.js';
