import {
  openDatasetSession,
  RowSurveyor,
  type DatasetSummary,
  type OpenDatasetSession,
  type RowOutcome,
  type RowSurvey,
  type TextDescription,
} from '@emloc/dataset';
import { openModel } from '@emloc/models';

import { assertOptionsOf, readableLength } from '../options/modality.js';
import { utcDay } from '../options/resolve.js';
import type { OptionsOf } from '../options/table.js';
import { textSourceOf } from './text-record.js';

/** Of which rows are shown, and how they become text. */
export type PreviewOptions = OptionsOf<'data'>;

/** What rows became as a whole. */
export interface PreviewSummary extends DatasetSummary {
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
 * What becomes of each row of a file, as a job with these options would train on it; needs no
 * device.
 * @throws the typed errors of model and data set
 */
export async function* previewRows(
  options: PreviewOptions,
  { openDataset = openDatasetSession, signal }: PreviewHost,
): AsyncGenerator<RowOutcome, PreviewSummary> {
  assertOptionsOf('data', options, 'text');
  const date = options.date ?? utcDay(new Date());
  // No weight is read here, so it matters to nobody which of them there are.
  const model = await openModel(options.model, { allowUnusedLayers: true });
  await model.close();
  const maxLength = readableLength(options.maxLength, model.layout);
  await using session = openDataset(textSourceOf({ ...options, date }, model));
  const text = await session.describe();
  const { data: path, limit, columns } = options;
  const request = { path, maxLength, limit, columns, withText: true };
  const surveyor = new RowSurveyor();
  const outcomes = session.read(request, signal);
  let next = await outcomes.next();
  for (; next.done !== true; next = await outcomes.next()) {
    surveyor.add(next.value);
    yield next.value;
  }
  return { ...next.value, text, date, maxLength, survey: surveyor.survey() };
}
