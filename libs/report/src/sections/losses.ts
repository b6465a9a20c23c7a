import { table, type TableData } from '../charts/figure.js';
import { lineChart, type LineSeries } from '../charts/line-chart.js';
import { listAt, numberAt, textAt } from '../fields.js';
import { html, type Html } from '../html.js';
import { lossText } from '../numbers.js';
import type { ReportData } from '../report-data.js';
import type { LogLine } from '../training-log.js';

/** Stages that train, in order, and what they train. */
const trained = [
  { stage: 'train', title: 'Loss in training' },
  { stage: 'refine', title: 'Loss in refinement, on the original' },
] as const;

/** Validation losses of the models on the way, and curves of those that were trained. */
export function losses({ record, log }: ReportData): Html {
  const charts = trained.flatMap(({ stage, title }) => curveOf(stage, title, { record, log }));
  return html`<h2>Losses</h2>
    <p>
      Mean loss a token (of a picture: a draw) on the validation rows. The last line is what the
      adapter does on the original model.
    </p>
    ${validationTable(record)} ${charts}`;
}

/** Names of the states that are scored, in the order of the job. */
const states: readonly (readonly [key: string, name: string])[] = [
  ['base', 'base model'],
  ['emulator', 'emulator, before training'],
  ['emulatorTuned', 'emulator with the adapter'],
  ['uncorrected', 'original with the adapter, uncorrected'],
  ['corrected', 'original with the best corrected adapter'],
  ['refined', 'original with the refined adapter'],
];

function validationTable(record: unknown): Html {
  const rows = states.flatMap(([key, name]) => {
    const loss = numberAt(record, 'validation', key);
    return loss === null ? [] : [[name, lossText(loss)]];
  });
  const final = resultLoss(record);
  if (final !== null) rows.push(['the result', lossText(final)]);
  return table('Validation losses', { head: ['model', 'validation loss'], rows });
}

/** Validation loss of the original with the adapter that was written; null: not recorded. */
export function resultLoss(record: unknown): number | null {
  const loss = (key: string): number | null => numberAt(record, 'validation', key);
  const isKept = (record as { refinement?: { kept?: unknown } | null }).refinement?.kept === true;
  if (isKept) return loss('refined');
  const chosen = textAt(record, 'correction', 'chosen');
  return chosen === null ? loss('uncorrected') : numberAt(record, 'correction', 'scores', chosen);
}

function curveOf(
  stage: string,
  title: string,
  { record, log }: { readonly record: unknown; readonly log: readonly LogLine[] },
): Html[] {
  const lines = log.filter((line) => line.stage === stage);
  const taken = lines.filter(({ event }) => event === 'step');
  const steps = thinned(pointsOf(taken.filter(({ anchor }) => !anchor)));
  const anchors = thinned(pointsOf(taken.filter(({ anchor }) => anchor)));
  const recorded = pointsOf(
    listAt(record, 'courses', stage, 'curve').map((point) => ({
      step: numberAt(point, 'step'),
      loss: numberAt(point, 'loss'),
    })),
  );
  const logged = pointsOf(lines.filter(({ event }) => event === 'validation'));
  const validated = recorded.length > 0 ? recorded : logged;
  if (steps.length + anchors.length + validated.length < 2) return [];
  const all: LineSeries[] = [
    { name: 'training rows', points: steps, look: 'a' },
    { name: 'training rows of anchors, on the original', points: anchors, look: 'b' },
    { name: 'validation rows', points: validated, look: 'dots' },
  ];
  const series = all.filter(({ points }) => points.length > 0);
  const [first, end] = [validated.at(0) ?? steps.at(0), validated.at(-1) ?? steps.at(-1)];
  return [
    lineChart({
      id: `loss-${stage}`,
      title,
      description: `Loss from ${lossText(first?.[1] ?? 0)} at step ${first?.[0] ?? 0} to ${lossText(end?.[1] ?? 0)} at step ${end?.[0] ?? 0}.`,
      xLabel: 'optimizer step',
      series,
      table: tableOf(series),
    }),
  ];
}

type Point = readonly [number, number];

function pointsOf(
  lines: readonly { readonly step: number | null; readonly loss: number | null }[],
): Point[] {
  // A resumed job repeats the steps since its last checkpoint: the last line of a step counts.
  const byStep = new Map<number, number>();
  for (const { step, loss } of lines) if (step !== null && loss !== null) byStep.set(step, loss);
  return [...byStep].sort(([a], [b]) => a - b);
}

/** As many as can be told apart. */
const mostPoints = 400;

/** At most so many points, each the mean of its neighbours where there are more. */
export function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= mostPoints) return points;
  const size = Math.ceil(points.length / mostPoints);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, index) => {
    const part = points.slice(index * size, (index + 1) * size);
    return [
      part.at(-1)?.[0] ?? 0,
      part.reduce((sum, [, loss]) => sum + loss, 0) / part.length,
    ] as const;
  });
}

/** A column a series, a row for each step that any of them has. */
function tableOf(series: readonly LineSeries[]): TableData {
  const columns = series.map(({ points }) => new Map(points));
  const steps = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  return {
    head: ['step', ...series.map(({ name }) => name)],
    rows: steps
      .sort((a, b) => a - b)
      .map((step) => [
        String(step),
        ...columns.map((column) => {
          const loss = column.get(step);
          return loss === undefined ? '' : lossText(loss);
        }),
      ]),
  };
}
