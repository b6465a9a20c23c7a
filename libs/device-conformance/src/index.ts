export {
  conformanceBudgetBytes,
  type ConformanceCase,
  conformanceCases,
} from './conformance-cases.js';
export { describeDeviceConformance } from './describe-device-conformance.js';
export { AllocationFaults, faultyBackend } from './fault-injection.js';
export { runConformanceCase } from './run-conformance-case.js';
