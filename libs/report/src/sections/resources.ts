import { formatBytes } from '@emloc/device';

import { barChart } from '../charts/bar-chart.js';
import { lineChart } from '../charts/line-chart.js';
import { html, type Html } from '../html.js';
import { secondsText } from '../numbers.js';
import type { ReportData } from '../report-data.js';
import type { LogLine } from '../training-log.js';
import { thinned } from './losses.js';

/** Memory and time by stage; null where neither is known. */
export function resources({ run, log }: ReportData): Html | null {
  const { stages, budgetBytes } = run;
  if (stages.length === 0) return null;
  const rule =
    budgetBytes === null
      ? undefined
      : { name: `budget ${formatBytes(budgetBytes)}`, value: budgetBytes };
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  return html`<h2>Memory and time</h2>
    ${barChart({
      id: 'memory',
      title: 'Peak device memory of each stage',
      description: `The largest is ${formatBytes(stages.reduce((most, { peakDeviceBytes }) => Math.max(most, peakDeviceBytes), 0))}${rule ? `, the ${rule.name}` : ''}.`,
      head: ['stage', 'peak'],
      bars: stages.map(({ name, peakDeviceBytes }) => ({
        name,
        value: peakDeviceBytes,
        text: formatBytes(peakDeviceBytes),
      })),
      rule,
    })}
    ${memoryCourse(log)}
    ${barChart({
      id: 'time',
      title: 'Time of each stage',
      description: `${secondsText(total)} in all.`,
      head: ['stage', 'time'],
      bars: stages.map(({ name, seconds }) => ({
        name,
        value: seconds,
        text: secondsText(seconds),
      })),
      note: `${secondsText(total)} in all.`,
    })}`;
}

/** Device memory over the job's time, where the log has it. */
function memoryCourse(log: readonly LogLine[]): Html | null {
  const readings = log.flatMap(({ timeMs, peakDeviceBytes }) =>
    timeMs === null || peakDeviceBytes === null ? [] : [[timeMs, peakDeviceBytes] as const],
  );
  const start = log.reduce((first, { timeMs }) => Math.min(first, timeMs ?? first), Infinity);
  const points = readings.map(([timeMs, bytes]) => [(timeMs - start) / 1000, bytes] as const);
  if (points.length < 2) return null;
  const budget = log.reduce<number | null>((found, { budgetBytes }) => found ?? budgetBytes, null);
  const shown = thinned([...points].sort(([a], [b]) => a - b));
  const { name, bytes } = shown.some(([, used]) => used >= 2 ** 30)
    ? { name: 'GiB', bytes: 2 ** 30 }
    : { name: 'MiB', bytes: 2 ** 20 };
  return lineChart({
    id: 'memory-course',
    title: 'Device memory over time',
    description: `${shown.length} readings.`,
    xLabel: 'seconds since the start',
    unit: name,
    series: [{ name: 'device memory', points: shown.map(([x, y]) => [x, y / bytes]), look: 'a' }],
    rule:
      budget === null
        ? undefined
        : { name: `budget ${formatBytes(budget)}`, value: budget / bytes },
    fromZero: true,
    table: {
      head: ['seconds', 'device memory'],
      rows: shown.map(([seconds, used]) => [seconds.toFixed(1), formatBytes(used)]),
    },
  });
}
