import { formatBytes } from '@emloc/device';
import { describeFailure, type Artifact, type Job } from '@emloc/sdk';

import { countedIn } from './counted.js';
import { render } from './render.js';
import { tuneTable } from './tables.js';

/** A list of jobs for people. */
export function jobsTable(jobs: readonly Job[]): string {
  if (jobs.length === 0) return 'no jobs';
  const rows = jobs.map(({ name, state, stage, createTime, displayName }) => [
    name,
    state,
    stage ?? '',
    timeText(createTime),
    displayName,
  ]);
  return render([['name', 'state', 'stage', 'created', 'for'], ...rows], 0);
}

/** A job for people: where it stands, and what came of it. */
export function jobTable(job: Job): string {
  const {
    name,
    displayName,
    state,
    stage,
    options,
    createTime,
    startTime,
    endTime,
    retries,
    error,
    report,
  } = job;
  const rows: [string, string][] = [
    ['job', displayName ? `${name} (${displayName})` : name],
    ['state', state === 'running' && stage ? `${state}, ${stage}` : state],
    ['model', options.model],
    ['data', [options.data, ...(options.moreData ?? [])].map(sourceName).join(', ')],
    ['created', timeText(createTime)],
    ['started', timeText(startTime)],
    ['ended', timeText(endTime)],
    ['repeated', retries > 0 ? `${retries} stage calls` : ''],
    ['error', error ? describeFailure(error) : ''],
  ];
  const table = render(
    rows.filter(([, text]) => text !== ''),
    0,
  );
  return report
    ? `${table}\n\n${tuneTable({ ...report, adapter: `emloc jobs download ${name} --out DIR` }, countedIn(job))}`
    : table;
}

/** The files of a job for people. */
export function artifactsTable(artifacts: readonly Artifact[]): string {
  if (artifacts.length === 0) return 'no files';
  const rows = artifacts.map(({ name, kind, path, sizeBytes }) => [
    name,
    kind,
    path,
    formatBytes(sizeBytes),
  ]);
  return render([['name', 'kind', 'path', 'size'], ...rows], 1);
}

/** Local time to the second. */
function sourceName(source: Job['options']['data']): string {
  return typeof source === 'string' ? source : source.dataset;
}

function timeText(time: Date | null): string {
  if (!time) return '';
  const two = (value: number): string => `${value}`.padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}
