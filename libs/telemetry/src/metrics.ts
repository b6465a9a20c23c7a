import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import { catalogue, type Catalogue, type MetricSpec } from './catalogue.js';

type Labels<S extends MetricSpec> = { readonly [L in S['labels'][number]]: string };

/** What is counted: events, or units of something that only grows. */
interface CounterMetric<L> {
  add(labels: L, amount?: number): void;
}

/** A value that goes up and down. */
interface GaugeMetric<L> {
  set(labels: L, value: number): void;
  add(labels: L, amount: number): void;
  /** Takes the series away: the thing is not there any more, rather than 0. */
  remove(labels: L): void;
  /** Takes all its series away. */
  clear(): void;
}

/** Values whose distribution matters. */
interface HistogramMetric<L> {
  observe(labels: L, value: number): void;
}

type MetricOf<S extends MetricSpec> = S['type'] extends 'counter'
  ? CounterMetric<Labels<S>>
  : S['type'] extends 'gauge'
    ? GaugeMetric<Labels<S>>
    : HistogramMetric<Labels<S>>;

/** Every metric of the catalogue, by its key there. */
export type Metrics = { readonly [K in keyof Catalogue]: MetricOf<Catalogue[K]> };

/** The metrics of a process and the text in which Prometheus reads them. */
export interface Telemetry {
  readonly metrics: Metrics;
  readonly contentType: string;
  expose(): Promise<string>;
  /** Lets go of what collecting Node's process metrics holds. */
  close(): void;
}

/** @param service is on every series, as the label `service` */
export function createTelemetry({
  service,
  version,
}: {
  readonly service: string;
  readonly version: string;
}): Telemetry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const entries = Object.entries<MetricSpec>(catalogue).map(([key, spec]) => [
    key,
    toMetric(spec, registry),
  ]);
  const metrics = Object.fromEntries(entries) as unknown as Metrics;
  metrics.buildInfo.set({ version }, 1);
  return {
    metrics,
    contentType: registry.contentType,
    expose: () => registry.metrics(),
    close: () => registry.clear(),
  };
}

type AnyLabels = Record<string, string>;

function toMetric(
  spec: MetricSpec,
  registry: Registry,
): CounterMetric<AnyLabels> | GaugeMetric<AnyLabels> | HistogramMetric<AnyLabels> {
  const configuration = {
    name: spec.name,
    help: spec.help,
    labelNames: [...spec.labels],
    registers: [registry],
  };
  switch (spec.type) {
    case 'counter':
      return toCounter(new Counter(configuration));
    case 'gauge':
      return toGauge(new Gauge(configuration));
    case 'histogram': {
      const histogram = new Histogram({ ...configuration, buckets: [...(spec.buckets ?? [])] });
      return { observe: (labels, value) => histogram.observe(labels, value) };
    }
  }
}

function toCounter(counter: Counter): CounterMetric<AnyLabels> {
  return { add: (labels, amount = 1) => counter.inc(labels, amount) };
}

function toGauge(gauge: Gauge): GaugeMetric<AnyLabels> {
  // Without labels it is there as 0 from the start, also in services that never set it.
  gauge.remove({});
  return {
    set: (labels, value) => gauge.set(labels, value),
    add: (labels, amount) => gauge.inc(labels, amount),
    remove: (labels) => gauge.remove(labels),
    clear: () => gauge.reset(),
  };
}
