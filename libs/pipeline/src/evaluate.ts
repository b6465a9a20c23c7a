import { readPeftAdapter, settleOutput, type LoraAdapter } from '@emloc/checkpoint';
import {
  loadDataset,
  openDatasetSession,
  type Dataset,
  type DatasetReport,
  type EncodedRow,
  type OpenDatasetSession,
  type TextDescription,
  type TextSource,
} from '@emloc/dataset';
import {
  Device,
  formatBytes,
  MemoryBudget,
  type DeviceProfile,
  type DeviceTarget,
} from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { DeviceAdapter } from '@emloc/finetune';
import type { ImageReader } from '@emloc/images';
import { adaptableModules, openModel, type Model, type RowSource } from '@emloc/models';
import { evaluateText, TextTables, type Evaluation, type TextBatches } from '@emloc/tasks';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  type PagerObserver,
} from '@emloc/weight-pager';

import { answersBringing, longestAnswered, type AnswerTask } from './answers/answer-task.js';
import { planAnswers, singleAnswerBytes, type Answering } from './answers/plan-answers.js';
import {
  answerQuestions,
  greedy,
  rowQuestions,
  type AnsweredRow,
  type AnswerScore,
  type RowQuestions,
} from './answers/row-questions.js';
import { assertImagesFit, seeImages } from './answers/seen-images.js';
import { PipelineError } from './errors.js';
import { imagesOf, plannedTiles, rowsWith, type JobImages } from './job/images.js';
import { behindFront, inOrder } from './job/job.js';
import { recordedLongestRow } from './job/longest-row-record.js';
import { longestOf } from './job/text-job.js';
import { textSourceOf, withRecordedText } from './job/text-record.js';
import { assertOptionsOf, batchOf, readableLength } from './options/modality.js';
import type { EvaluateOptions } from './options/resolve.js';
import { inferenceBytes } from './plan/default-budget.js';
import { heaviestBatches } from './plan/heaviest-batches.js';

/** Scores of a model on a data set, as `eval` prints them. */
export interface EvaluateReport
  extends Evaluation, Pick<DatasetReport, 'sourceRows' | 'droppedRows' | 'truncatedRows'> {
  readonly perplexity: number;
  /** Of the rows' text, as `YYYY-MM-DD`. */
  readonly date: string;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly seconds: number;
  /** Absent unless asked for. */
  readonly answers?: readonly AnsweredRow[];
  /** Of the answers to all rows. Absent unless asked for. */
  readonly score?: AnswerScore;
}

export interface EvaluateHost {
  readonly target: DeviceTarget;
  readonly onProgress?: (done: number, total: number) => void;
  /** Hears of the rows before the device is taken. */
  readonly onRows?: (rows: EvaluatedRows) => void;
  /** Where rows are read: by default in this thread, which is busy meanwhile. */
  readonly openDataset?: OpenDatasetSession;
  /** Where images are decoded: by default in this thread, too. */
  readonly openImages?: () => ImageReader;
  /** Told what the user should know, such as tensors of the checkpoint that are not used. */
  readonly onNotice?: (message: string) => void;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
}

/** The rows that are scored, and how they became text. */
interface EvaluatedRows {
  readonly report: DatasetReport;
  readonly text: TextDescription;
  readonly date: string;
}

interface Evaluated {
  readonly options: EvaluateOptions;
  readonly whole: Model;
  /** Without what runs once an image. */
  readonly model: Model;
  /** null: the model takes none. */
  readonly images: JobImages | null;
  readonly adapter: LoraAdapter | null;
  readonly rows: readonly EncodedRow[];
  /** Of these rows and those that the adapter was trained on: rotary tables may depend on it. */
  readonly longestRow: number;
  readonly batches: TextBatches;
  /** Null: none are asked for. */
  readonly questions: RowQuestions | null;
}

/** Streams a model (with an adapter or without) over a data set within a budget. */
export async function evaluateModel(
  options: EvaluateOptions,
  host: EvaluateHost,
): Promise<EvaluateReport> {
  assertOptionsOf('eval', options, 'text');
  const started = performance.now();
  for (const folder of [options.model, options.adapter ?? options.model])
    await settleOutput(folder);
  const { allowUnusedLayers } = options;
  await using model = await openModel(options.model, { allowUnusedLayers, signal: host.signal });
  for (const notice of model.notices) host.onNotice?.(notice);
  const adapter =
    options.adapter === null
      ? null
      : await readPeftAdapter(options.adapter, {
          linearModules: adaptableModules(model.layout),
          base: options.model,
          signal: host.signal,
        });
  const { dataset, source, text } = await loadRows(options, model, host);
  const { rows, report } = dataset;
  host.onRows?.({ report, text, date: source.date });
  const images = imagesOf(rows, {
    layout: model.layout,
    touched: new Set(adapter?.layers.keys()),
    exifOrientation: source.images?.exifOrientation ?? false,
  });
  const questions = await rowQuestions(options, rows, {
    ...{ model, source, images, signal: host.signal },
  });
  const maxLength = readableLength(options.maxLength, model.layout);
  const tables = new TextTables(model.layout, model.tables);
  const batches = inOrder(rowsWith(images, tables)(rows), batchOf(options.batch, model.layout));
  const longestRow = Math.max(longestOf(rows), await recordedLongestRow(options.adapter));
  const { profile } = host.target;
  const asked: Evaluated = {
    ...{ options, whole: model, model: behindFront(model, images?.front?.blocks ?? 0) },
    ...{ images, adapter, rows, longestRow, batches, questions },
  };
  const unseen = images ? showing(asked, plannedTiles(images, profile.computeDType)) : asked;
  const budgetBytes = options.vramBytes ?? (await defaultBytes(unseen, profile, maxLength));
  if (images) await assertImagesFit({ whole: model, images }, profile, budgetBytes);
  const { evaluated, pagerBytes } = await planned(unseen, profile, budgetBytes);
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await host.target.open(budgetBytes), budget);
  await using seen =
    evaluated.images &&
    (await seeImages(
      { whole: model, images: evaluated.images },
      { ...host, device, hostBytes: options.hostBytes },
    ));
  const shown = seen ? showing(evaluated, seen.tiles) : evaluated;
  const { evaluation, answers, score } = await run(shown, {
    device,
    pagerBytes,
    reads: 'real',
    host,
  });
  await model.checkpoint.assertUnchanged();
  return {
    ...evaluation,
    sourceRows: report.sourceRows,
    droppedRows: report.droppedRows,
    truncatedRows: report.truncatedRows,
    date: source.date,
    ...(options.answers > 0 && { answers }),
    ...(score && { score }),
    perplexity: Math.exp(evaluation.loss),
    budgetBytes,
    peakDeviceBytes: budget.peakBytes,
    seconds: (performance.now() - started) / 1000,
  };
}

/** The evaluation with rows whose images bring this. */
function showing(evaluated: Evaluated, tiles: RowSource): Evaluated {
  const { batches, questions } = evaluated;
  return {
    ...evaluated,
    batches: { ...batches, source: batches.source.bringing(tiles) },
    questions: questions && { ...questions, task: answersBringing(questions.task, tiles) },
  };
}

async function loadRows(
  options: EvaluateOptions,
  model: Model,
  { openDataset = openDatasetSession, signal }: EvaluateHost,
): Promise<{
  readonly dataset: Dataset;
  readonly source: TextSource;
  readonly text: TextDescription;
}> {
  const source = textSourceOf(await withRecordedText(options), model);
  await using session = openDataset(source);
  const dataset = await loadDataset(session, {
    path: options.data,
    maxLength: readableLength(options.maxLength, model.layout),
    limit: options.limit,
    strict: options.strict,
    columns: options.columns,
    signal,
  });
  return { dataset, source, text: await session.describe() };
}

async function run(
  evaluated: Evaluated,
  {
    device,
    pagerBytes,
    reads,
    host,
  }: { device: Device; pagerBytes: number; reads: 'real' | 'none'; host: Partial<EvaluateHost> },
): Promise<{
  evaluation: Evaluation;
  answers: readonly AnsweredRow[];
  score: AnswerScore | null;
}> {
  const { options, model, adapter, batches, longestRow } = evaluated;
  const { source, layout } = model;
  const { hostBytes, prefetch } = options;
  await using pager = openPager({
    device,
    source,
    deviceBytes: pagerBytes,
    hostBytes,
    prefetch,
    reads,
    observer: host.pagerObserver,
    signal: host.signal,
  });
  const paged = { device, layout, pager, longestRow };
  using variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  const [evaluation] = await evaluateText({
    model: paged,
    batches,
    variants: [variant],
    signal: host.signal,
    onProgress: host.onProgress,
  });
  if (!evaluation) throw new Error('evaluation gave no result');
  const { questions } = evaluated;
  if (reads === 'none' || !questions) return { evaluation, answers: [], score: null };
  const { signal, onProgress } = host;
  const asking = { model: paged, adapter: variant, signal, onProgress };
  return { evaluation, ...(await answerQuestions(questions, asking)) };
}

/** What inference takes, or the heaviest batch, or one answer at a time where that is more. */
async function defaultBytes(
  evaluated: Evaluated,
  profile: DeviceProfile,
  maxLength: number,
): Promise<number> {
  const { whole, questions } = evaluated;
  const { besideBytes, leastBytes } = await needsOf(evaluated, profile);
  // A batch of a small model takes more beside its weights than a prefill.
  const bytes = Math.max(await inferenceBytes(whole, profile, maxLength), besideBytes + leastBytes);
  if (!questions) return bytes;
  const answering = answeringOf(evaluated, questions.task, profile);
  return Math.max(bytes, await singleAnswerBytes(answering, questions.task));
}

function answeringOf(
  { model, adapter, longestRow }: Evaluated,
  task: AnswerTask,
  profile: DeviceProfile,
): Answering {
  const longest = Math.max(longestRow, longestAnswered(task));
  return { model, adapter, profile, sampling: greedy, longestRow: longest };
}

/**
 * What the budget leaves for weights beside the heaviest batch and the answers, and how many of
 * these are made together.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
async function planned(
  evaluated: Evaluated,
  profile: DeviceProfile,
  budgetBytes: number,
): Promise<{ readonly evaluated: Evaluated; readonly pagerBytes: number }> {
  const pagerBytes = await weightBytes(evaluated, profile, budgetBytes);
  const { questions } = evaluated;
  if (!questions) return { evaluated, pagerBytes };
  const answering = answeringOf(evaluated, questions.task, profile);
  const { groupRows, besideBytes } = await planAnswers(answering, questions.task, budgetBytes);
  return {
    evaluated: { ...evaluated, questions: { ...questions, groupRows } },
    pagerBytes: Math.min(pagerBytes, budgetBytes - besideBytes),
  };
}

/**
 * What the budget leaves for weights beside the heaviest batch.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
async function weightBytes(
  evaluated: Evaluated,
  profile: DeviceProfile,
  budgetBytes: number,
): Promise<number> {
  const { besideBytes, leastBytes, allBytes } = await needsOf(evaluated, profile);
  if (besideBytes + leastBytes > budgetBytes) {
    throw new PipelineError(
      'PIPELINE_DOES_NOT_FIT',
      `evaluation does not fit into ${formatBytes(budgetBytes)}: it needs at least ${formatBytes(besideBytes + leastBytes)}; a smaller batch needs less`,
    );
  }
  return Math.min(allBytes, budgetBytes - besideBytes);
}

/** Bytes of the model's weights, in all and at least, and of everything beside them. */
async function needsOf(
  evaluated: Evaluated,
  profile: DeviceProfile,
): Promise<{
  readonly besideBytes: number;
  readonly leastBytes: number;
  readonly allBytes: number;
}> {
  const { source } = evaluated.model;
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  await using device = new Device(createNullBackend(profile), budget);
  const scope = budget.openPeakScope(['weights']);
  const leastBytes = minimumDeviceBytes(source, device);
  await run(
    { ...evaluated, batches: heaviestBatches(evaluated.batches) },
    { device, pagerBytes: leastBytes, reads: 'none', host: {} },
  );
  return { besideBytes: scope.close(), leastBytes, allBytes: allDeviceBytes(source, device) };
}
