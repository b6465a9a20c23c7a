import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { NoUnit, OpsPerSecond, Short } from '@grafana/grafana-foundation-sdk/units';

import { createDashboard, type Row } from '../dashboard.js';
import { barGauge, timeSeries } from '../panels.js';
import { stages } from '../promql.js';

export function training(): Dashboard {
  return createDashboard({
    name: 'training',
    title: 'Training',
    hasStages: true,
    rows: [lastStep, pace],
    description:
      'Optimizer steps of the stages train and refine. The values of the last step are there while a stage runs; a new line is another job or attempt.',
  });
}

const legend = '{{stage}} {{instance}}';

const lastStep: Row = {
  title: 'Optimizer steps',
  panels: [
    timeSeries({
      title: 'Loss',
      description:
        'Mean loss of the last step, per trained-on token, in nats. A job begins anew: it jumps up there. A loss that is not finite ends training.',
      unit: NoUnit,
      width: 12,
      decimals: 3,
      queries: [{ expr: `emloc_training_loss{${stages}}`, legend }],
    }),
    timeSeries({
      title: 'Gradient norm',
      description:
        'Norm of the gradient of the last step, before clipping. A norm that grows and does not come back is a learning rate that is too high. The alert is at 100.',
      unit: NoUnit,
      width: 12,
      logarithmic: true,
      limit: 100,
      queries: [{ expr: `emloc_training_gradient_norm{${stages}}`, legend }],
    }),
    timeSeries({
      title: 'Learning rate',
      description: 'Learning rate of the last step: warm-up, then the schedule.',
      unit: NoUnit,
      width: 12,
      queries: [{ expr: `emloc_training_learning_rate{${stages}}`, legend }],
    }),
    timeSeries({
      title: 'Tokens per second in a step',
      description: 'Input tokens without padding over the duration of the last step.',
      unit: Short,
      width: 12,
      queries: [{ expr: `emloc_training_tokens_per_second{${stages}}`, legend }],
    }),
  ],
};

const pace: Row = {
  title: 'Pace',
  panels: [
    timeSeries({
      title: 'Steps per second',
      description: 'Optimizer steps, with the pauses between them: saving, evaluation, other jobs.',
      unit: OpsPerSecond,
      width: 8,
      queries: [
        {
          expr: `sum by (stage) (rate(emloc_training_steps_total{${stages}}[$__rate_interval]))`,
          legend: '{{stage}}',
        },
      ],
    }),
    timeSeries({
      title: 'Tokens per second over time',
      description:
        'Input tokens without padding that were trained on, with the pauses between steps.',
      unit: Short,
      width: 8,
      queries: [
        {
          expr: `sum by (stage) (rate(emloc_training_tokens_total{${stages}}[$__rate_interval]))`,
          legend: '{{stage}}',
        },
      ],
    }),
    barGauge({
      title: 'Steps',
      description: 'Optimizer steps in the time that is shown.',
      unit: Short,
      width: 8,
      decimals: 0,
      queries: [
        {
          expr: `sum by (stage) (increase(emloc_training_steps_total{${stages}}[$__range]))`,
          legend: '{{stage}}',
        },
      ],
    }),
  ],
};
