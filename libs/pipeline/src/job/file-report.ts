import { createHash } from 'node:crypto';
import { at } from '@emloc/checked';
import { drawnRows, type DatasetReport } from '@emloc/dataset';

/** A file of rows, as one part of a data set. */
export interface FileReport {
  /** Of its bytes, hexadecimal. */
  readonly sha256: string;
  /** How often an epoch has its rows. */
  readonly weight: number;
  /** Of the rows of an epoch, before any are held out: 0 to 1. */
  readonly share: number;
  readonly report: DatasetReport;
}

/** What each file comes to in an epoch. @param weights as long as `files` */
export function fileReports(
  files: readonly Pick<FileReport, 'report' | 'sha256'>[],
  weights: readonly number[],
): readonly FileReport[] {
  const drawn = files.map(({ report }, index) => drawnRows(report.rows, at(weights, index)));
  const all = drawn.reduce((sum, rows) => sum + rows, 0);
  return files.map(({ report, sha256 }, index) => ({
    ...{ sha256, report },
    weight: at(weights, index),
    share: all === 0 ? 0 : at(drawn, index) / all,
  }));
}

/** One hash for a data set: that of its file, or of the hashes of its files. */
export function dataSha256(files: readonly Pick<FileReport, 'sha256'>[]): string {
  const hashes = files.map(({ sha256 }) => sha256);
  return hashes.length === 1
    ? at(hashes, 0)
    : createHash('sha256').update(hashes.join('\n')).digest('hex');
}
