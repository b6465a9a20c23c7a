export {
  type Catalogue,
  catalogue,
  labelValues,
  type LabelName,
  type MetricSpec,
} from './catalogue.js';
export * from './errors.js';
export {
  type CounterMetric,
  createTelemetry,
  type GaugeMetric,
  type HistogramMetric,
  type Metrics,
  type Telemetry,
} from './metrics.js';
export * from './observers.js';
export {
  type ProbeServer,
  type ProbeServerOptions,
  type Readiness,
  startProbeServer,
} from './probe-server.js';
