export {
  conformanceBudgetBytes,
  type ConformanceCase,
  conformanceCases,
  type ConformanceOptions,
} from './conformance-cases.js';
export {
  describeDeviceConformance,
  type DeviceConformanceOptions,
} from './describe-device-conformance.js';
export {
  AllocationFaults,
  faultyBackend,
  type FaultyBackend,
  type FaultyBackendOptions,
} from './fault-injection.js';
export type { Tolerance } from './fixture.js';
export { runConformanceCase } from './run-conformance-case.js';
