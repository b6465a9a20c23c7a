import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { recordFileName } from '@emloc/checkpoint';
import { readRegularFile } from '@emloc/untrusted';

import { ReportError } from './errors.js';
import { listAt, numberAt, textAt } from './fields.js';
import { readJson } from './read-file.js';
import { readRunRecord, type RunRecord } from './run-record.js';
import { readTrainingLog, type LogLine } from './training-log.js';

/** A row that a model was asked, and what it said. */
export interface Answered {
  readonly line: number | null;
  readonly expected: string;
  readonly answer: string;
}

/** What `eval --json` says of a model. */
interface Evaluated {
  readonly loss: number | null;
  readonly exactMatch: number | null;
  readonly answers: readonly Answered[];
}

/** A picture that was made on the way, as a PNG file. */
export interface Sample {
  /** Steps before it; null: with the result. */
  readonly step: number | null;
  /** Which of the prompts it is of. */
  readonly index: number;
  readonly png: Buffer;
}

/** All that a page is made from. */
export interface ReportData {
  /** emloc.json. */
  readonly record: unknown;
  readonly run: RunRecord;
  readonly log: readonly LogLine[];
  readonly samples: readonly Sample[];
  /** Pictures that are too large to be in the page. */
  readonly samplesLeftOut: number;
  readonly before: Evaluated | null;
  readonly after: Evaluated | null;
}

export interface ReportSources {
  /** Documents of `eval --json` with the base model and with the adapter. */
  readonly before?: string;
  readonly after?: string;
}

/**
 * Reads what an adapter's folder says of its job.
 * @throws ReportError REPORT_SOURCE_INVALID where it has no record, or a document is none of `eval`
 */
export async function readReportData(
  folder: string,
  { before, after }: ReportSources = {},
): Promise<ReportData> {
  const record = await readJson(join(folder, recordFileName));
  if (textAt(record, 'program') === null || textAt(record, 'job') === null)
    throw new ReportError(
      'REPORT_SOURCE_INVALID',
      `report: ${join(folder, recordFileName)} is no record of a job`,
    );
  return {
    record,
    run: await readRunRecord(folder),
    log: await readTrainingLog(folder),
    ...(await readSamples(join(folder, 'samples'))),
    before: before === undefined ? null : await readEvaluated(before),
    after: after === undefined ? null : await readEvaluated(after),
  };
}

async function readEvaluated(path: string): Promise<Evaluated> {
  const document = await readJson(path);
  const loss = numberAt(document, 'loss');
  if (loss === null)
    throw new ReportError(
      'REPORT_SOURCE_INVALID',
      `report: ${path} is no document of \`emloc eval --json\``,
    );
  return {
    loss,
    exactMatch: numberAt(document, 'exactMatch'),
    answers: listAt(document, 'answers').map((each) => ({
      line: numberAt(each, 'line'),
      expected: textAt(each, 'expected') ?? '',
      answer: textAt(each, 'answer') ?? '',
    })),
  };
}

/** All pictures of a page together; those of the start and of the end come first. */
const mostSampleBytes = 24 * 2 ** 20;

async function readSamples(
  folder: string,
): Promise<Pick<ReportData, 'samples' | 'samplesLeftOut'>> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const found = names.sort().flatMap((name) => {
    const match = /^(?:step-(\d{6,})|final)-(\d+)\.png$/.exec(name);
    const step = match?.[1] === undefined ? null : Number(match[1]);
    return match ? [{ name, step, index: Number(match[2]) }] : [];
  });
  const ends = found.filter(({ step }) => step === null || step === 0);
  const samples: Sample[] = [];
  let bytes = 0;
  for (const { name, ...sample } of [...ends, ...found.filter((each) => !ends.includes(each))]) {
    const png = await readRegularFile(join(folder, name), mostSampleBytes).catch(() => null);
    if (png === null || bytes + png.length > mostSampleBytes) continue;
    bytes += png.length;
    samples.push({ ...sample, png });
  }
  return { samples, samplesLeftOut: found.length - samples.length };
}
