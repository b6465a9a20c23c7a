import { at } from '@emloc/checked';
import {
  loadDataset,
  mergedReport,
  mixRows,
  openDatasetSession,
  splitValidation,
  type Dataset,
  type DatasetReport,
  type EncodedRow,
  type Mixture,
  type TextDescription,
  type WeightedRows,
} from '@emloc/dataset';
import type { Model } from '@emloc/models';

import { weightedFiles } from '../options/data-weights.js';
import { fileReports, type FileReport } from './file-report.js';
import type { JobOptions, PrepareHost } from './job.js';
import { textSourceOf } from './text-record.js';

/** The rows of a job, read and divided. */
export interface LoadedRows {
  readonly train: Mixture;
  readonly validation: readonly EncodedRow[];
  /** In the order in which they were named. */
  readonly files: readonly FileReport[];
  /** Of all files. */
  readonly trainReport: DatasetReport;
  readonly validationReport: DatasetReport;
  /** Of each file, and of the validation file, empty where there is none. */
  readonly sha256s: readonly string[];
  readonly text: TextDescription;
}

/** @throws the typed errors of the data set library */
export async function loadRows(
  options: JobOptions,
  model: Model,
  { openDataset = openDatasetSession, restrictImages, signal }: PrepareHost,
): Promise<LoadedRows> {
  const { validation, maxLength, strict, columns, seed } = options;
  await using session = openDataset(textSourceOf(options, model, { restrictImages }));
  const load = (path: string): Promise<Dataset> =>
    loadDataset(session, { path, maxLength, strict, columns, signal });
  const named = weightedFiles(options);
  const files: Dataset[] = [];
  for (const { path } of named) files.push(await load(path));
  const heldOut = validation === null ? null : await load(validation);
  const weights = named.map(({ weight }) => weight);
  const rows = numbered(files, weights);
  const split = heldOut
    ? { train: rows, validation: heldOut.rows }
    : splitValidation(rows, { seed });
  const trainReport = mergedReport(files.map(({ report }) => report));
  return {
    train: mixRows(split.train, { seed }),
    validation: split.validation,
    files: fileReports(files, weights),
    trainReport,
    validationReport: heldOut?.report ?? trainReport,
    sha256s: [...files.map(({ sha256 }) => sha256), heldOut?.sha256 ?? ''],
    text: await session.describe(),
  };
}

/** Rows that know their file where there are several. */
function numbered(files: readonly Dataset[], weights: readonly number[]): readonly WeightedRows[] {
  return files.map(({ rows }, index) => ({
    rows: files.length === 1 ? rows : rows.map((row) => ({ ...row, file: index + 1 })),
    weight: at(weights, index),
  }));
}
