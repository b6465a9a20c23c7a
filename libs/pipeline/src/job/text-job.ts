import { sampleCalibration, type EncodedRow } from '@emloc/dataset';
import { adaptedLinears } from '@emloc/finetune';
import type { Model } from '@emloc/models';
import { TextTables, type TextRows } from '@emloc/tasks';

import { assertRank } from '../options/checks.js';
import { anchoredTraining } from './anchors.js';
import { emulatedLinears, levelEmulators } from './emulated-linear.js';
import { dataSha256 } from './file-report.js';
import type { GivenStart } from './given-start.js';
import { imagesOf, rowsWith } from './images.js';
import { behindFront, jobId, type Job, type JobOptions, type PrepareHost } from './job.js';
import { loadRows, type LoadedRows } from './load-rows.js';
import { assertBatchTokens, plansOf, textBatches } from './text-plans.js';
import { textTask } from './text-task.js';

/** A job on rows of text, with images where the model takes some. */
export async function textJob(
  options: JobOptions,
  { model: whole, start }: { readonly model: Model; readonly start: GivenStart | null },
  host: PrepareHost,
): Promise<Job<TextRows>> {
  const adapted = adaptedLinears(whole.layout, options.targets);
  assertRank(options.rank, adapted.values());
  const loaded = await loadRows(options, whole, host);
  const id = await jobId(options, whole, { datasets: loaded.sha256s, start });
  return jobOf(options, { whole, start, loaded, id });
}

interface TextInputs {
  readonly whole: Model;
  readonly start: GivenStart | null;
  readonly loaded: LoadedRows;
  readonly id: string;
}

/** Needs no file any more, so that one job's rows serve several. */
function jobOf(options: JobOptions, inputs: TextInputs): Job<TextRows> {
  const { whole, start, id } = inputs;
  const { train, validation, files, trainReport, validationReport, text } = inputs.loaded;
  const touched = new Set([
    ...adaptedLinears(whole.layout, options.targets).keys(),
    ...emulatedLinears(whole, options).map(({ path }) => path),
  ]);
  const rows = [...train.rows, ...validation];
  const images = imagesOf(rows, { ...options, layout: whole.layout, touched });
  const frontBlocks = images?.front?.blocks ?? 0;
  const model = behindFront(whole, frontBlocks);
  const emulated = emulatedLinears(model, options);
  const longestRow = longestOf(rows);
  assertBatchTokens(options, longestRow);
  const { training, refinement } = plansOf(train, options);
  const { calibrationRows: count, seed } = options;
  const calibration = sampleCalibration(train, { count, seed });
  const rowsOf = rowsWith(images, new TextTables(whole.layout, null));
  return {
    options,
    whole,
    frontBlocks,
    model,
    task: textTask(images),
    sampler: null,
    trainRows: rowsOf(train.rows),
    calibration: textBatches(rowsOf(calibration), calibration, options),
    validation: textBatches(rowsOf(validation), validation, options),
    longestRow,
    training: anchoredTraining(training, options, emulated.length > 0),
    start,
    refinement: emulated.length > 0 ? refinement : null,
    emulated,
    levels: emulated.length > 0 ? levelEmulators(emulated, options) : null,
    report: {
      kind: 'rows',
      train: trainReport,
      validation: validationReport,
      files,
      datasetSha256: dataSha256(files),
      text,
    },
    variant: (changes) => jobOf({ ...options, ...changes }, inputs),
    id,
    close: () => whole.close(),
    [Symbol.asyncDispose]: () => whole.close(),
  };
}

/** Tokens of the longest row. */
export function longestOf(rows: readonly EncodedRow[]): number {
  return rows.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
}
