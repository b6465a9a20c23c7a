export { catalogue, labelValues, type MetricSpec } from './catalogue.js';
export { createTelemetry, type Metrics, type Telemetry } from './metrics.js';
export {
  observeCalls,
  observePager,
  recordStep,
  recordMemory,
  forgetStage,
  type StageLabel,
  type PagerTotals,
  type MemorySample,
} from './observers.js';
export {
  type ProbeServer,
  type ProbeServerOptions,
  type Readiness,
  startProbeServer,
} from './probe-server.js';
