import { at } from '@emloc/checked';
import {
  mergedReport,
  openDatasetSession,
  RowSurveyor,
  type DatasetReport,
  type DatasetSession,
  type DatasetSummary,
  type OpenDatasetSession,
  type RowOutcome,
  type RowSurvey,
  type TextDescription,
} from '@emloc/dataset';
import { openModel } from '@emloc/models';

import { weightedFiles } from '../options/data-weights.js';
import { assertOptionsOf, readableLength } from '../options/modality.js';
import { utcDay } from '../options/resolve.js';
import type { OptionsOf } from '../options/table.js';
import { dataSha256, fileReports, type FileReport } from './file-report.js';
import { textSourceOf } from './text-record.js';

/** Of which rows are shown, and how they become text. */
export type PreviewOptions = OptionsOf<'data'>;

/** What became of a row, and the file that it is in. */
export interface PreviewedRow {
  readonly path: string;
  readonly outcome: RowOutcome;
}

/** A file of rows by its name. */
export interface PreviewedFile extends FileReport {
  readonly path: string;
}

/** What rows became as a whole. */
export interface PreviewSummary {
  /** In the order in which they were named. */
  readonly files: readonly PreviewedFile[];
  /** Of all files. */
  readonly report: DatasetReport;
  /** That of the file, or of the hashes of the files. */
  readonly sha256: string;
  readonly text: TextDescription;
  /** As `YYYY-MM-DD`. */
  readonly date: string;
  /** Tokens that rows were cut to. */
  readonly maxLength: number;
  readonly survey: RowSurvey;
}

export interface PreviewHost {
  readonly openDataset?: OpenDatasetSession;
  readonly signal?: AbortSignal;
}

/**
 * What becomes of each row of a file, or of several, as a job with these options would train on
 * it; needs no device.
 * @throws the typed errors of model and data set
 */
export async function* previewRows(
  options: PreviewOptions,
  { openDataset = openDatasetSession, signal }: PreviewHost,
): AsyncGenerator<PreviewedRow, PreviewSummary> {
  assertOptionsOf('data', options, 'text');
  const date = options.date ?? utcDay(new Date());
  // No weight is read here, so it matters to nobody which of them there are.
  const model = await openModel(options.model, { allowUnusedLayers: true, signal });
  await model.close();
  const maxLength = readableLength(options.maxLength, model.layout);
  await using session = openDataset(textSourceOf({ ...options, date }, model));
  const text = await session.describe();
  const { limit, columns } = options;
  const files = weightedFiles(options);
  const survey = new RowSurveyor();
  const read: DatasetSummary[] = [];
  for (const { path } of files) {
    const outcomes = session.read({ path, maxLength, limit, columns, withText: true }, signal);
    const file = files.length > 1 ? read.length + 1 : undefined;
    read.push(yield* surveyed(outcomes, { path, file, survey }));
  }
  const weights = files.map(({ weight }) => weight);
  const reports = fileReports(read, weights);
  return {
    files: reports.map((each, index) => ({ ...each, path: at(files, index).path })),
    report: mergedReport(reports.map(({ report }) => report)),
    sha256: dataSha256(reports),
    ...{ text, date, maxLength, survey: survey.survey() },
  };
}

interface Surveying {
  readonly path: string;
  /** 1-based; undefined: there is only one. */
  readonly file: number | undefined;
  readonly survey: RowSurveyor;
}

async function* surveyed(
  outcomes: ReturnType<DatasetSession['read']>,
  { path, file, survey }: Surveying,
): AsyncGenerator<PreviewedRow, DatasetSummary> {
  let next = await outcomes.next();
  try {
    for (; next.done !== true; next = await outcomes.next()) {
      survey.add(next.value, file);
      yield { path, outcome: next.value };
    }
    return next.value;
  } finally {
    if (next.done !== true) await outcomes.return(undefined as never);
  }
}
