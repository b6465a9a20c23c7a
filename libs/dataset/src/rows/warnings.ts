import type { DatasetReport } from './dataset-report.js';

/** Characters of a column's name that are shown. */
const shownName = 60;

/**
 * What was dropped, cut, ignored or rewritten of the rows of a file, as far as there is any.
 * @param options.withNames whether columns are named: a name is the user's, as a row is
 */
export function datasetWarnings(
  report: DatasetReport,
  { withNames }: { readonly withNames: boolean },
): string[] {
  const { lostTextRows, sourceRows, partedRows, truncatedRows, droppedRows, lostTokens } = report;
  const { augmentedSets } = report;
  return [
    lostTextRows > 0
      ? `in ${lostTextRows} of ${countOf(sourceRows, 'row')} the chat template leaves out text that the assistant wrote (--strict makes this an error)`
      : '',
    partedRows > 0
      ? `${countOf(partedRows, 'row')} became one row for each turn that is trained on, since the chat template writes earlier turns differently once later ones follow`
      : '',
    truncatedRows > 0 ? `${countOf(truncatedRows, 'row')} cut to the maximum length` : '',
    droppedRows > 0
      ? `${countOf(droppedRows, 'row')} dropped, with nothing to train on within the maximum length`
      : '',
    lostTokens > 0 ? `${countOf(lostTokens, 'token')} lost by that` : '',
    augmentedSets > 0
      ? `${countOf(augmentedSets, 'data set')} with data_augment: images are taken as they are`
      : '',
    unusedColumns(report, withNames),
  ].filter(Boolean);
}

function unusedColumns({ unusedColumns: columns }: DatasetReport, withNames: boolean): string {
  const entries = Object.entries(columns);
  if (entries.length === 0) return '';
  if (!withNames) return `${countOf(entries.length, 'column')} not used`;
  const named = entries.map(
    ([name, rows]) => `${JSON.stringify(name.slice(0, shownName))} (${countOf(rows, 'row')})`,
  );
  return `columns that are not used: ${named.join(', ')}`;
}

/** `1 row`, `2 rows` */
export function countOf(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
