import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  BytesIEC,
  BytesPerSecondIEC,
  OpsPerSecond,
  PercentUnit,
} from '@grafana/grafana-foundation-sdk/units';

import { createDashboard, type Row } from '../dashboard.js';
import { timeSeries } from '../panels.js';
import { processes, shareOfGrowth, stages } from '../promql.js';

export function memory(): Dashboard {
  return createDashboard({
    name: 'memory',
    title: 'Memory and pager',
    hasStages: true,
    rows: [deviceMemory, pager],
    description:
      'Device memory in its budget, the GPU as its driver sees it, and the weights that come and go. What tells of a stage is there while it runs.',
  });
}

const legend = '{{stage}} {{instance}}';
const by = 'stage, instance';

const deviceMemory: Row = {
  title: 'Device memory',
  panels: [
    timeSeries({
      title: 'Device memory by category',
      unit: BytesIEC,
      width: 12,
      stacked: true,
      lines: ['budget', 'peak'],
      description:
        'What the running stages have reserved, by what it is for. Weights fill what is free of the budget, so that little is free is normal.',
      queries: [
        {
          expr: `sum by (category) (emloc_device_memory_in_use_bytes{${stages}})`,
          legend: '{{category}}',
        },
        { expr: `sum(emloc_device_memory_budget_bytes{${stages}})`, legend: 'budget' },
        { expr: `sum(emloc_device_memory_peak_bytes{${stages}})`, legend: 'peak' },
      ],
    }),
    timeSeries({
      title: 'Share of the budget',
      description:
        'Reserved device memory over what the running stage may reserve. It is never above 100 %: who needs more gets an error.',
      unit: PercentUnit,
      width: 12,
      max: 1,
      queries: [
        {
          expr: `sum by (${by}) (emloc_device_memory_in_use_bytes{${stages}}) / sum by (${by}) (emloc_device_memory_budget_bytes{${stages}})`,
          legend,
        },
      ],
    }),
    timeSeries({
      title: 'Memory of the GPU',
      unit: BytesIEC,
      width: 12,
      description:
        'As the driver sees it, all programs together. It is read while a stage runs, and stays as it was last seen.',
      queries: [
        {
          expr: `emloc_gpu_memory_used_bytes{${processes}}`,
          legend: 'used, GPU {{gpu}} {{instance}}',
        },
        {
          expr: `emloc_gpu_memory_total_bytes{${processes}}`,
          legend: 'there, GPU {{gpu}} {{instance}}',
        },
      ],
    }),
    timeSeries({
      title: 'Share of the GPU in use',
      description: 'Memory in use by all programs over the memory of the GPU.',
      unit: PercentUnit,
      width: 12,
      max: 1,
      limit: 0.98,
      queries: [
        {
          expr: `emloc_gpu_memory_used_bytes{${processes}} / emloc_gpu_memory_total_bytes{${processes}}`,
          legend: 'GPU {{gpu}} {{instance}}',
        },
      ],
    }),
  ],
};

const pager: Row = {
  title: 'Weight pager',
  panels: [
    timeSeries({
      title: 'Layers on and off the device',
      description:
        'Layers per second that came onto the device, and that had to leave it for others.',
      unit: OpsPerSecond,
      width: 12,
      queries: [
        {
          expr: `sum by (${by}) (rate(emloc_pager_page_ins_total{${stages}}[$__rate_interval]))`,
          legend: `in, ${legend}`,
        },
        {
          expr: `sum by (${by}) (rate(emloc_pager_page_outs_total{${stages}}[$__rate_interval]))`,
          legend: `out, ${legend}`,
        },
      ],
    }),
    timeSeries({
      title: 'Bytes moved',
      description: 'Weights that moved from one tier to another.',
      unit: BytesPerSecondIEC,
      width: 12,
      queries: [
        {
          expr: `sum by (source, destination) (rate(emloc_pager_moved_bytes_total{${stages}}[$__rate_interval]))`,
          legend: '{{source}} to {{destination}}',
        },
      ],
    }),
    timeSeries({
      title: 'Hits',
      unit: PercentUnit,
      width: 8,
      max: 1,
      description:
        'Layers that were on the device, or on the way there, when they were asked for, over these and all that were brought. 100 %: all stay there; 50 %: each was fetched ahead of its use; 0 %: each was waited for.',
      queries: [
        {
          expr: shareOfGrowth('emloc_pager_hits_total', 'emloc_pager_page_ins_total', {
            selector: stages,
            by,
          }),
          legend,
        },
      ],
    }),
    timeSeries({
      title: 'Stalls',
      unit: PercentUnit,
      width: 8,
      max: 1,
      limit: 0.5,
      description:
        'Share of the time that computation waited for a layer. More than half: a larger budget, more host memory or a faster disk would help.',
      queries: [
        {
          expr: `sum by (${by}) (rate(emloc_pager_stall_seconds_total{${stages}}[$__rate_interval]))`,
          legend,
        },
      ],
    }),
    timeSeries({
      title: 'Weights on each tier',
      description: 'Weights that the pager holds on the device and in host memory.',
      unit: BytesIEC,
      width: 8,
      queries: [
        {
          expr: `sum by (tier, stage) (emloc_pager_resident_bytes{${stages}})`,
          legend: '{{tier}}, {{stage}}',
        },
      ],
    }),
  ],
};
