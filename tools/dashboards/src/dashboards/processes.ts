import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  BytesIEC,
  BytesPerSecondIEC,
  DurationSeconds,
  OpsPerSecond,
  PercentUnit,
  Seconds,
  Short,
} from '@grafana/grafana-foundation-sdk/units';

import { createDashboard, type Row } from '../dashboard.js';
import { timeSeries } from '../panels.js';
import { processes, quantile } from '../promql.js';

export function busAndProcesses(): Dashboard {
  return createDashboard({
    name: 'processes',
    title: 'Tensor bus and processes',
    description: 'Tensors between the stages, and what the processes take.',
    rows: [tensorBus, process],
  });
}

const legend = '{{service}} {{instance}}';
const by = 'direction, kind, path';
const tensorLegend = '{{kind}} {{direction}}, {{path}}';
const latency = { selector: processes, by, range: '$__rate_interval' } as const;

const tensorBus: Row = {
  title: 'Tensor bus',
  panels: [
    timeSeries({
      title: 'Bytes',
      description: 'Bytes of tensors per second, by what they are and the way that they take.',
      unit: BytesPerSecondIEC,
      width: 8,
      queries: [
        {
          expr: `sum by (${by}) (rate(emloc_tensor_bus_bytes_total{${processes}}[$__rate_interval]))`,
          legend: tensorLegend,
        },
      ],
    }),
    timeSeries({
      title: 'Tensors',
      description: 'Tensors per second.',
      unit: OpsPerSecond,
      width: 8,
      queries: [
        {
          expr: `sum by (${by}) (rate(emloc_tensor_bus_messages_total{${processes}}[$__rate_interval]))`,
          legend: tensorLegend,
        },
      ],
    }),
    timeSeries({
      title: 'Retransmissions',
      description:
        'Chunks per second that were sent again, because NATS did not answer or was away. None is normal.',
      unit: OpsPerSecond,
      width: 8,
      queries: [
        {
          expr: `sum by (kind, path) (rate(emloc_tensor_bus_retransmissions_total{${processes}}[$__rate_interval]))`,
          legend: '{{kind}}, {{path}}',
        },
      ],
    }),
    timeSeries({
      title: 'Latency',
      description: "Time from the first byte of a layer's tensors to their acknowledgement.",
      unit: Seconds,
      width: 12,
      queries: [
        {
          expr: quantile(0.5, 'emloc_tensor_bus_latency_seconds', latency),
          legend: `${tensorLegend}, median`,
        },
        {
          expr: quantile(0.99, 'emloc_tensor_bus_latency_seconds', latency),
          legend: `${tensorLegend}, 99 %`,
        },
      ],
    }),
    timeSeries({
      title: 'Speed of a transfer',
      description:
        'Bytes over the time that they took, each transfer by itself. The alert is at 10 MB/s.',
      unit: BytesPerSecondIEC,
      width: 12,
      queries: [
        {
          expr: `sum by (${by}) (rate(emloc_tensor_bus_bytes_total{${processes}}[$__rate_interval]))\n/ sum by (${by}) (rate(emloc_tensor_bus_latency_seconds_sum{${processes}}[$__rate_interval]))`,
          legend: tensorLegend,
        },
      ],
    }),
  ],
};

const process: Row = {
  title: 'Processes',
  panels: [
    timeSeries({
      title: 'Event-loop lag, 99 %',
      description:
        'How late the main thread was since the scrape before. Probes are to be answered within 100 ms.',
      unit: Seconds,
      width: 12,
      limit: 0.1,
      queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'Event-loop lag, longest',
      description: 'The longest time that the main thread was late since the scrape before.',
      unit: Seconds,
      width: 12,
      queries: [{ expr: `nodejs_eventloop_lag_max_seconds{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'CPU',
      description: 'Processor time per second, in cores.',
      unit: Short,
      width: 8,
      queries: [
        { expr: `rate(process_cpu_seconds_total{${processes}}[$__rate_interval])`, legend },
      ],
    }),
    timeSeries({
      title: 'Resident memory',
      description:
        'Memory of the process. With the CPU device, what it reserves as device memory is part of it.',
      unit: BytesIEC,
      width: 8,
      queries: [{ expr: `process_resident_memory_bytes{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'JavaScript heap',
      description: "Heap of the main thread in use. Layers and the engine's thread are not on it.",
      unit: BytesIEC,
      width: 8,
      queries: [{ expr: `nodejs_heap_size_used_bytes{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'Garbage collection',
      description: 'Share of the time that the main thread collects garbage.',
      unit: PercentUnit,
      width: 8,
      queries: [
        {
          expr: `sum by (service, instance) (rate(nodejs_gc_duration_seconds_sum{${processes}}[$__rate_interval]))`,
          legend,
        },
      ],
    }),
    timeSeries({
      title: 'Open files',
      description: 'Files and sockets that are open. A number that only grows is a leak.',
      unit: Short,
      width: 8,
      decimals: 0,
      queries: [{ expr: `process_open_fds{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'Time since the start',
      description: 'Age of a process. It falls to zero when one is started again.',
      unit: DurationSeconds,
      width: 8,
      queries: [{ expr: `time() - process_start_time_seconds{${processes}}`, legend }],
    }),
    timeSeries({
      title: 'Leases lost and mended',
      description:
        'Coordinators that led and lost the lease, and repairs of its bucket. One when NATS is replaced is normal; many are not.',
      unit: Short,
      width: 24,
      bars: true,
      stacked: true,
      queries: [
        {
          expr: `sum(increase(emloc_coordinator_lease_losses_total{${processes}}[$__rate_interval]))`,
          legend: 'lost',
        },
        {
          expr: `sum(increase(emloc_coordinator_lease_repairs_total{${processes}}[$__rate_interval]))`,
          legend: 'mended',
        },
      ],
    }),
  ],
};
