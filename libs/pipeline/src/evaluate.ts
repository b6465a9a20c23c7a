import { at } from '@emloc/checked';
import { readPeftAdapter, settleOutput, type LoraAdapter } from '@emloc/checkpoint';
import {
  loadDataset,
  loadTokenizer,
  openDatasetSession,
  type ChatTokenizer,
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
import { DeviceAdapter, type PagedModel } from '@emloc/finetune';
import { adaptableModules, openModel, type Model } from '@emloc/models';
import { evaluateText, generate, TextRows, type Evaluation, type TextBatches } from '@emloc/tasks';
import {
  deviceBytes,
  minimumDeviceBytes,
  openPager,
  type PagerObserver,
} from '@emloc/weight-pager';

import { PipelineError } from './errors.js';
import { inOrder, longestOf } from './job/job.js';
import { recordedLongestRow } from './job/longest-row-record.js';
import { textSourceOf, withRecordedText } from './job/text-record.js';
import { readableLength } from './options/modality.js';
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
}

/** What a model says where a row has its last trained-on part. */
interface AnsweredRow {
  /** Line in the data file. */
  readonly line: number;
  readonly expected: string;
  readonly answer: string;
}

export interface EvaluateHost {
  readonly target: DeviceTarget;
  readonly onProgress?: (done: number, total: number) => void;
  /** Hears of the rows before the device is taken. */
  readonly onRows?: (rows: EvaluatedRows) => void;
  /** Where rows are read: by default in this thread, which is busy meanwhile. */
  readonly openDataset?: OpenDatasetSession;
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
  readonly model: Model;
  readonly adapter: LoraAdapter | null;
  readonly rows: readonly EncodedRow[];
  /** Of these rows and those that the adapter was trained on: rotary tables may depend on it. */
  readonly longestRow: number;
  readonly batches: TextBatches;
  /** For answers only. */
  readonly tokenizer: ChatTokenizer | null;
}

/** Streams a model (with an adapter or without) over a data set within a budget. */
export async function evaluateModel(
  options: EvaluateOptions,
  host: EvaluateHost,
): Promise<EvaluateReport> {
  const started = performance.now();
  for (const folder of [options.model, options.adapter ?? options.model])
    await settleOutput(folder);
  const { allowUnusedLayers } = options;
  await using model = await openModel(options.model, { allowUnusedLayers });
  for (const notice of model.notices) host.onNotice?.(notice);
  const adapter =
    options.adapter === null
      ? null
      : await readPeftAdapter(options.adapter, {
          linearModules: adaptableModules(model.layout),
          base: options.model,
        });
  const { dataset, source, text } = await loadRows(options, model, host);
  const { rows, report } = dataset;
  host.onRows?.({ report, text, date: source.date });
  const tokenizer = options.answers > 0 ? await loadTokenizer(options.model, source) : null;
  const maxLength = readableLength(options.maxLength, model.layout);
  const batches = inOrder(new TextRows(rows), options.batch);
  const longestRow = Math.max(longestOf(rows), await recordedLongestRow(options.adapter));
  const evaluated = { options, model, adapter, rows, longestRow, batches, tokenizer };
  const { profile } = host.target;
  const budgetBytes = options.vramBytes ?? (await inferenceBytes(model, profile, maxLength));
  const pagerBytes = await weightBytes(evaluated, profile, budgetBytes);
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await host.target.open(budgetBytes), budget);
  const { evaluation, answers } = await run(evaluated, {
    device,
    pagerBytes,
    reads: 'real',
    host,
  });
  return {
    ...evaluation,
    sourceRows: report.sourceRows,
    droppedRows: report.droppedRows,
    truncatedRows: report.truncatedRows,
    date: source.date,
    ...(options.answers > 0 ? { answers } : {}),
    perplexity: Math.exp(evaluation.loss),
    budgetBytes,
    peakDeviceBytes: budget.peakBytes,
    seconds: (performance.now() - started) / 1000,
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
): Promise<{ evaluation: Evaluation; answers: readonly AnsweredRow[] }> {
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
  const answers =
    reads === 'real' && evaluated.tokenizer
      ? await answerRows({ ...evaluated, tokenizer: evaluated.tokenizer }, paged, variant)
      : [];
  return { evaluation, answers };
}

/**
 * Answers as many tokens as the expected answer has, at most: so a batch of answers takes no more
 * memory than the rows took.
 */
async function answerRows(
  { options, rows, tokenizer }: Evaluated & { readonly tokenizer: ChatTokenizer },
  model: PagedModel,
  variant: DeviceAdapter | null,
): Promise<AnsweredRow[]> {
  const asked = rows.slice(0, options.answers);
  const answered: AnsweredRow[] = [];
  for (let start = 0; start < asked.length; start += options.batch) {
    const batch = asked.slice(start, start + options.batch);
    const prompts = batch.map((row) => ({
      ids: row.ids.slice(0, answerStart(row)),
      maxTokens: row.ids.length - answerStart(row),
    }));
    const answers = await generate({
      model,
      variant,
      prompts,
      stopIds: new Set(tokenizer.eosTokenIds),
    });
    batch.forEach((row, index) =>
      answered.push({
        line: row.line,
        expected: tokenizer
          .decode(row.ids.slice(answerStart(row)), { skipSpecialTokens: true })
          .trim(),
        answer: tokenizer.decode(at(answers, index), { skipSpecialTokens: true }).trim(),
      }),
    );
  }
  return answered;
}

/** Index of the first token of a row's last trained-on part. */
function answerStart({ ids, trained }: EncodedRow): number {
  let start = trained.lastIndexOf(1);
  while (start > 0 && trained[start - 1] === 1) start -= 1;
  return start < 0 ? ids.length : start;
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
  const { source } = evaluated.model;
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const device = new Device(createNullBackend(profile), budget);
  const scope = budget.openPeakScope(['weights']);
  const least = minimumDeviceBytes(source, device);
  await run(
    { ...evaluated, batches: heaviestBatches(evaluated.batches) },
    { device, pagerBytes: least, reads: 'none', host: {} },
  );
  await device.close();
  const besideBytes = scope.close();
  if (besideBytes + least > budgetBytes) {
    throw new PipelineError(
      'PIPELINE_DOES_NOT_FIT',
      `evaluation does not fit into ${formatBytes(budgetBytes)}: it needs at least ${formatBytes(besideBytes + least)}; a smaller batch needs less`,
    );
  }
  const all = source.layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
  return Math.min(all, budgetBytes - besideBytes);
}
