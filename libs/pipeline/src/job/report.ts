import {
  datasetWarnings,
  pictureWarnings,
  type DatasetReport,
  type PictureReport,
  type TextDescription,
} from '@emloc/dataset';

import type { FileReport } from './file-report.js';

/** What a job learns from, as far as it may be told. */
export type JobReport = RowsReport | PicturesReport;

interface RowsReport {
  readonly kind: 'rows';
  readonly train: DatasetReport;
  readonly validation: DatasetReport;
  /** That `train` is made of. */
  readonly files: readonly FileReport[];
  readonly datasetSha256: string;
  /** How rows became text. */
  readonly text: TextDescription;
}

interface PicturesReport {
  readonly kind: 'pictures';
  readonly pictures: PictureReport;
  /** Captions that are longer than the model reads. */
  readonly captionsCut: number;
  /** Pictures that are scored on and not learned from; 0: draws of those that are. */
  readonly heldOut: number;
  readonly datasetSha256: string;
}

/** What the owner should know of rows or pictures; holds nothing that stands in them. */
export function reportWarnings(report: JobReport): string[] {
  if (report.kind === 'pictures') {
    const { captionsCut } = report;
    const cut = `${captionsCut} captions are longer than the model reads and are cut`;
    return [
      ...pictureWarnings(report.pictures, { withNames: false }),
      ...(captionsCut > 0 ? [cut] : []),
    ];
  }
  const of = (rows: DatasetReport): string[] => datasetWarnings(rows, { withNames: false });
  const ofValidation = report.validation === report.train ? [] : of(report.validation);
  return [...of(report.train), ...ofValidation.map((warning) => `validation: ${warning}`)];
}

/** Rows of the data file, or pictures of the folder, and what became of them. */
export function countsOf(
  report: JobReport,
): Pick<DatasetReport, 'sourceRows' | 'droppedRows' | 'truncatedRows'> {
  if (report.kind === 'pictures')
    return { sourceRows: report.pictures.pictures, droppedRows: 0, truncatedRows: 0 };
  const { sourceRows, droppedRows, truncatedRows } = report.train;
  return { sourceRows, droppedRows, truncatedRows };
}
