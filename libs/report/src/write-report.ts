import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { findOutputFile, ownedFiles, reportFileName, writeFileAtomic } from '@emloc/checkpoint';

import { ReportError } from './errors.js';
import { reportPage } from './page.js';
import { readReportData, type ReportSources } from './report-data.js';
import { writeRunRecord, type RunRecord } from './run-record.js';

/**
 * Makes the page of an adapter's folder, from what is in it.
 * @param options.out another file than the folder's own
 * @returns the path of the page
 * @throws ReportError REPORT_SOURCE_INVALID where the folder has no record of a job,
 * REPORT_OUTPUT_EXISTS where a file is there that this program did not write; CheckpointError
 * CHECKPOINT_OUTPUT_EXISTS, CHECKPOINT_OUTPUT_UNWRITABLE
 */
export async function writeReport(
  folder: string,
  {
    out,
    overwrite = false,
    ...sources
  }: ReportSources & { readonly out?: string; readonly overwrite?: boolean } = {},
): Promise<string> {
  const path = out === undefined ? join(folder, reportFileName) : await findOutputFile(out);
  const data = await readReportData(folder, sources);
  const isOurs = out === undefined && (await ownedFiles(folder))?.includes(reportFileName) === true;
  if (!overwrite && !isOurs && (await exists(path)))
    throw new ReportError(
      'REPORT_OUTPUT_EXISTS',
      `report: ${path} is there already; choose another, or allow it to be overwritten`,
    );
  await writeFileAtomic(path, reportPage(data));
  return path;
}

/**
 * Puts the record of a run beside an adapter, and makes its page.
 * @throws as `writeReport`; ReportError REPORT_SOURCE_INVALID before anything is written
 */
export async function writeRunReport(folder: string, run: RunRecord): Promise<void> {
  await readReportData(folder);
  await writeRunRecord(folder, run);
  await writeReport(folder);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
