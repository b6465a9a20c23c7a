import { formatBytes } from '@emloc/device';
import {
  choiceNotice,
  type EvaluateReport,
  type JobPlan,
  type MethodChoice,
  type PicturesEvaluateReport,
  type StageReport,
  type TuneReport,
} from '@emloc/pipeline';

import type { CardReport } from '../plan-place.js';
import { rateText, type Counted } from './counted.js';
import { render } from './render.js';
import { validationTable } from './validation-table.js';

/** A stage under a name of this program or of a server. */
type NamedStage = Omit<StageReport, 'name'> & { readonly name: string | null };

/** What a table of a job's outcome needs; `adapter` says where it is. */
export type TuneOutcome = Omit<
  TuneReport,
  'job' | 'stages' | 'date' | 'sourceRows' | 'droppedRows' | 'truncatedRows' | 'ending' | 'choice'
> & {
  readonly stages: readonly NamedStage[];
  /** null: whoever ran the job does not say. */
  readonly ending: TuneReport['ending'] | null;
};

/** The result of a job for people. */
export function tuneTable(report: TuneOutcome, counted: Counted): string {
  return [
    'stages',
    stageTable(report.stages),
    '',
    'validation loss (mean over the validation rows; lower is better)',
    validationTable(report),
    '',
    render(
      [
        [
          'device memory',
          `${formatBytes(report.peakDeviceBytes)} at most, of a budget of ${formatBytes(report.budgetBytes)}`,
        ],
        [
          'training',
          `${report.train.steps} steps, ${report.train.tokens} ${counted}, ${rateText(report.train.tokensPerSecond, counted)}`,
        ],
        ...emulatorRows(report),
        ...endingRows(report),
        ['adapter', report.adapter],
      ],
      0,
    ),
  ].join('\n');
}

function emulatorRows({ emulator }: TuneOutcome): [string, string][] {
  if (!emulator) return [];
  const share = ((100 * emulator.parameters) / emulator.originalParameters).toFixed(0);
  return [
    [
      'emulator',
      `${emulator.parameters} of ${emulator.originalParameters} parameters (${share} %), ` +
        `largest output error ${(100 * emulator.worstLayer.relativeError).toFixed(1)} % in ${emulator.worstLayer.name}`,
    ],
  ];
}

/** What a script finds as exit code 3. */
function endingRows({ ending, courses }: TuneOutcome): [string, string][] {
  switch (ending) {
    case 'worse':
      return [['ending', 'worse than the base model on the validation rows']];
    case 'diverged':
      return [['ending', `training diverged: ${courses.train.divergence ?? ''}`]];
    default:
      return [];
  }
}

/** The result of `plan` for people. */
export function planTable(
  plan: Omit<JobPlan, 'stages' | 'stepSeconds' | 'anchors'> & {
    readonly anchors?: JobPlan['anchors'];
    readonly stages: readonly NamedStage[];
    readonly auto?: MethodChoice;
    readonly choice?: MethodChoice;
    readonly card?: CardReport;
  },
): string {
  const verdict = plan.fits
    ? `fits into ${formatBytes(plan.budgetBytes)} (${formatBytes(plan.neededBytes)} would do)`
    : `does not fit into ${formatBytes(plan.budgetBytes)}: ${formatBytes(plan.neededBytes)} are needed`;
  const anchors = plan.anchors ? `\n  ${anchorText(plan.anchors)}` : '';
  const basis = plan.card ? `\n  ${cardText(plan.card)}` : '';
  const choice = plan.choice ? `\n  ${choiceNotice(plan.choice)}` : '';
  const ways = plan.auto ? `\n\n${wayTable(plan.auto)}` : '';
  return `${stageTable(plan.stages)}\n\n  ${verdict}${anchors}${basis}${choice}${ways}`;
}

function anchorText({ passes, rows }: NonNullable<JobPlan['anchors']>): string {
  return `training on the emulator has ${passes} anchors: passes over the original, of ${rows} rows or those of a step`;
}

/** What each way to the same quality would take, and which of them `auto` takes. */
function wayTable(auto: MethodChoice): string {
  const seconds = (value: number | null, digits = 1): string =>
    value === null ? '' : `${value.toFixed(digits)} s`;
  const heads = ['way', 'steps', 'a step', 'calibration', 'factors', 'training', 'in all'];
  const rows = auto.inputs.ways.map((way) =>
    way.fits
      ? [
          ...[way.name, way.levels ?? String(way.steps), seconds(way.stepSeconds, 3)],
          ...[way.calibrationSeconds, way.factorSeconds, way.trainingSeconds, way.seconds].map(
            (value) => seconds(value),
          ),
          ...[seconds(way.copySeconds), seconds(way.readSeconds)],
          formatBytes(way.peakDeviceBytes),
        ]
      : [way.name, '', '', '', '', '', '', '', '', way.reason],
  );
  const table = render([[...heads, 'copies', 'reading', 'peak'], ...rows], 9);
  return `${table}\n\n  ${choiceNotice(auto)}`;
}

function cardText({ product, ...card }: CardReport): string {
  const figures = [
    formatBytes(card.memoryBytes),
    `${card.flopsPerSecond / 1e12} TFLOP/s in bfloat16`,
    `${card.bytesPerSecond / 1e9} GB/s`,
    `${card.linkBytesPerSecond / 1e9} GB/s from the host`,
  ];
  return `times are estimates, from the data sheet of ${product}: ${figures.join(', ')}`;
}

function stageTable(stages: readonly NamedStage[]): string {
  return render(
    stages.map(({ name, seconds, peakDeviceBytes }) => [
      name ?? 'unknown',
      `${seconds.toFixed(1)} s`,
      formatBytes(peakDeviceBytes),
    ]),
    2,
  );
}

/** The result of `eval` for people. */
export function evaluateTable(report: EvaluateReport): string {
  const answers = (report.answers ?? []).map(
    ({ line, expected, answer }) =>
      `  line ${line}\n    expected  ${expected}\n    answer    ${answer}`,
  );
  return [scoreTable(report), ...answers].join('\n\n');
}

/** Scores on pictures, for people. */
export function picturesTable(report: PicturesEvaluateReport): string {
  const { pictures, draws, guidance, bands } = report;
  return render(
    [
      ['loss', report.loss.toFixed(4)],
      ...bands.map(({ above, upTo, loss, draws: count }) => [
        `  noise ${above.toFixed(2)} to ${upTo.toFixed(2)}`,
        loss === null ? 'no draw' : `${loss.toFixed(4)} of ${count} draws`,
      ]),
      ['draws', `${draws} of ${pictures} pictures${guidanceOf(guidance)}`],
      [
        'device memory',
        `${formatBytes(report.peakDeviceBytes)} of ${formatBytes(report.budgetBytes)}`,
      ],
      ['time', `${report.seconds.toFixed(1)} s`],
    ],
    0,
  );
}

function guidanceOf(guidance: number | null): string {
  return guidance === null ? '' : `, guidance ${guidance}`;
}

function metricRows({ score }: EvaluateReport): [string, string][] {
  if (!score) return [];
  return [score, ...score.details].map(({ name, score: value, rows }) => [
    name === score.name ? name : `  ${name}`,
    `${(100 * value).toFixed(2)} % of ${rows} rows`,
  ]);
}

function scoreTable(report: EvaluateReport): string {
  return render(
    [
      ['loss', report.loss.toFixed(4)],
      ['perplexity', report.perplexity.toFixed(3)],
      ['token accuracy', `${(100 * report.tokenAccuracy).toFixed(2)} %`],
      ['exact match', `${(100 * report.exactMatch).toFixed(2)} % of ${report.rows} rows`],
      ...metricRows(report),
      [
        'rows',
        `${report.sourceRows} in the file, ${report.droppedRows} dropped, ${report.truncatedRows} cut`,
      ],
      ['date', report.date],
      [
        'device memory',
        `${formatBytes(report.peakDeviceBytes)} of ${formatBytes(report.budgetBytes)}`,
      ],
      ['time', `${report.seconds.toFixed(1)} s`],
    ],
    0,
  );
}
