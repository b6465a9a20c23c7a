import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { OpsPerSecond, Seconds, Short } from '@grafana/grafana-foundation-sdk/units';

import { createDashboard, type Row } from '../dashboard.js';
import { barGauge, timeSeries, values } from '../panels.js';
import { deployment, processes, quantile, targets } from '../promql.js';

export function overview(): Dashboard {
  return createDashboard({
    name: 'overview',
    title: 'Overview',
    description: 'Jobs, services and calls: whether everything runs.',
    rows: [now, jobs, stageAttempts, calls],
  });
}

/**
 * A stage's attempts are timed by the stage, too; the coordinator also has those of stages that
 * died.
 */
const coordinator = `${deployment}, service="coordinator"`;

const jobCalls = `${processes}, grpc_service="emloc.v1.JobService", grpc_method!="WatchJob"`;

const now: Row = {
  title: 'Now',
  panels: [
    values({
      title: 'Services up',
      description: 'Processes whose metrics can be read.',
      unit: Short,
      width: 3,
      queries: [{ expr: `count(up{${targets}} == 1) or vector(0)`, legend: 'up' }],
    }),
    values({
      title: 'Services down',
      description:
        'Targets whose metrics cannot be read. Pods that are gone are no targets any more.',
      unit: Short,
      width: 3,
      limit: 1,
      queries: [{ expr: `count(up{${targets}} == 0) or vector(0)`, legend: 'down' }],
    }),
    values({
      title: 'Services not ready',
      description:
        'Processes that run and take no work: they start, end, or have no connection to NATS.',
      unit: Short,
      width: 3,
      limit: 1,
      queries: [
        { expr: `count(emloc_ready{${processes}} == 0) or vector(0)`, legend: 'not ready' },
      ],
    }),
    values({
      title: 'Leading coordinators',
      description: 'One leads and drives the jobs; the others answer clients.',
      unit: Short,
      width: 3,
      queries: [{ expr: `sum(emloc_coordinator_leading{${deployment}})`, legend: 'leading' }],
    }),
    values({
      title: 'Alerts',
      description: 'Alerts that fire. docs/operate/operations.md has a section for each.',
      unit: Short,
      width: 3,
      limit: 1,
      queries: [
        {
          expr: 'count(ALERTS{alertname=~"Emloc.+", alertstate="firing"}) or vector(0)',
          legend: 'firing',
        },
      ],
    }),
    values({
      title: 'Jobs running',
      description: 'Jobs in the state running.',
      unit: Short,
      width: 3,
      queries: [{ expr: `max(emloc_jobs{${deployment}, state="running"})`, legend: 'running' }],
    }),
    values({
      title: 'Jobs waiting',
      description:
        'Jobs in the state queued. --max-running of the coordinator says how many run at a time.',
      unit: Short,
      width: 3,
      queries: [{ expr: `max(emloc_jobs{${deployment}, state="queued"})`, legend: 'queued' }],
    }),
    values({
      title: 'Versions',
      description:
        'Processes by the version that they run. More than one version is a rollout that is not over.',
      unit: Short,
      width: 3,
      queries: [
        { expr: `count by (version) (emloc_build_info{${processes}})`, legend: '{{version}}' },
      ],
    }),
  ],
};

const jobs: Row = {
  title: 'Jobs',
  panels: [
    timeSeries({
      title: 'Jobs under way',
      description: 'Jobs that wait, run or are being cancelled.',
      unit: Short,
      width: 12,
      decimals: 0,
      stacked: true,
      queries: [
        {
          expr: `max by (state) (emloc_jobs{${deployment}, state=~"queued|running|cancelling"})`,
          legend: '{{state}}',
        },
      ],
    }),
    timeSeries({
      title: 'Jobs that are over',
      description:
        'Jobs that are kept, by how they ended. They go when they are deleted, or after --job-retention.',
      unit: Short,
      width: 12,
      decimals: 0,
      queries: [
        {
          expr: `max by (state) (emloc_jobs{${deployment}, state=~"succeeded|failed|cancelled"})`,
          legend: '{{state}}',
        },
      ],
    }),
    timeSeries({
      title: 'Changes of state',
      description: 'Jobs that went into a state.',
      unit: Short,
      width: 12,
      bars: true,
      stacked: true,
      queries: [
        {
          expr: `sum by (state) (increase(emloc_job_transitions_total{${deployment}}[$__rate_interval]))`,
          legend: '{{state}}',
        },
      ],
    }),
    barGauge({
      title: 'Duration of jobs',
      description:
        'From the start of a job to its end, without the time in the queue: jobs that ended in the time that is shown.',
      unit: Seconds,
      width: 12,
      decimals: 1,
      queries: [
        {
          expr: quantile(0.5, 'emloc_job_duration_seconds', {
            selector: deployment,
            by: 'outcome',
            range: '$__range',
          }),
          legend: '{{outcome}}, median',
        },
        {
          expr: quantile(0.95, 'emloc_job_duration_seconds', {
            selector: deployment,
            by: 'outcome',
            range: '$__range',
          }),
          legend: '{{outcome}}, 95 %',
        },
      ],
    }),
  ],
};

const stageAttempts: Row = {
  title: 'Stages',
  panels: [
    barGauge({
      title: 'Mean duration of stages',
      description: 'Attempts at each stage that succeeded in the time that is shown.',
      unit: Seconds,
      width: 8,
      decimals: 1,
      queries: [
        {
          expr: `sum by (stage) (increase(emloc_stage_duration_seconds_sum{${coordinator}, outcome="succeeded"}[$__range]))\n/ sum by (stage) (increase(emloc_stage_duration_seconds_count{${coordinator}, outcome="succeeded"}[$__range]))`,
          legend: '{{stage}}',
        },
      ],
    }),
    timeSeries({
      title: 'Attempts at stages',
      description: 'Attempts that ended, by stage and outcome.',
      unit: Short,
      width: 8,
      bars: true,
      stacked: true,
      queries: [
        {
          expr: `sum by (stage, outcome) (increase(emloc_stage_duration_seconds_count{${coordinator}}[$__rate_interval]))`,
          legend: '{{stage}} {{outcome}}',
        },
      ],
    }),
    timeSeries({
      title: 'Retries',
      description:
        'Stages that were started again after a failure. One when a process is replaced is normal; many are not.',
      unit: Short,
      width: 8,
      bars: true,
      stacked: true,
      queries: [
        {
          expr: `sum by (stage) (increase(emloc_stage_retries_total{${deployment}}[$__rate_interval]))`,
          legend: '{{stage}}',
        },
      ],
    }),
  ],
};

const calls: Row = {
  title: 'gRPC',
  panels: [
    timeSeries({
      title: 'Calls begun',
      description: 'Calls per second that a server began to serve.',
      unit: OpsPerSecond,
      width: 12,
      queries: [
        {
          expr: `sum by (service, grpc_method) (rate(grpc_server_started_total{${processes}}[$__rate_interval]))`,
          legend: '{{service}} {{grpc_method}}',
        },
      ],
    }),
    timeSeries({
      title: 'Calls answered',
      description:
        'Calls per second by status code. UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS are errors of the service; the others but OK are answers to what was asked.',
      unit: OpsPerSecond,
      width: 12,
      stacked: true,
      queries: [
        {
          expr: `sum by (grpc_code) (rate(grpc_server_handled_total{${processes}}[$__rate_interval]))`,
          legend: '{{grpc_code}}',
        },
      ],
    }),
    timeSeries({
      title: 'Latency of the job service',
      description:
        'Time that a call took on the coordinator. Watches, which last as long as they are wanted, are left out.',
      unit: Seconds,
      width: 12,
      queries: [
        {
          expr: quantile(0.5, 'grpc_server_handling_seconds', {
            selector: jobCalls,
            by: 'grpc_method',
            range: '$__rate_interval',
          }),
          legend: '{{grpc_method}}, median',
        },
        {
          expr: quantile(0.99, 'grpc_server_handling_seconds', {
            selector: jobCalls,
            by: 'grpc_method',
            range: '$__rate_interval',
          }),
          legend: '{{grpc_method}}, 99 %',
        },
      ],
    }),
    timeSeries({
      title: 'Calls in flight',
      description:
        'Calls that are being served. A stage has one for each attempt that runs or waits for the engine.',
      unit: Short,
      width: 12,
      decimals: 0,
      queries: [
        {
          expr: `sum by (service, grpc_method) (grpc_server_in_flight{${processes}})`,
          legend: '{{service}} {{grpc_method}}',
        },
      ],
    }),
  ],
};
