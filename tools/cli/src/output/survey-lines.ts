import { at } from '@emloc/checked';
import { countOf, type RowSurvey } from '@emloc/dataset';

type Lengths = RowSurvey['lengths'];
type Duplicates = RowSurvey['duplicates'];
type RowNumber = Duplicates['examples'][number][number];

/** Columns of the longest bar. */
const barColumns = 40;

/**
 * How long rows are, and which of them are equal, as lines.
 * @param files that the rows name, where there are several
 */
export function surveyLines(
  { lengths, duplicates }: RowSurvey,
  files: readonly { readonly path: string }[] = [],
): string[] {
  const nameOf = ({ file, set, line }: RowNumber): string =>
    [
      ...(file === undefined ? [] : [at(files, file - 1).path]),
      ...(set === undefined ? [] : [`data set ${set}`]),
      `row ${line}`,
    ].join(' ');
  return [...lengthLines(lengths), ...duplicateLines(duplicates, nameOf)];
}

function lengthLines({ p50, p95, p99, longest, histogram }: Lengths): string[] {
  if (histogram.length === 0) return [];
  const most = Math.max(...histogram.map(({ rows }) => rows));
  const columns = Math.max(...histogram.map((bin) => rangeOf(bin).length));
  return [
    `lengths in tokens, before rows are cut: half up to ${p50}, 95 % up to ${p95}, 99 % up to ${p99}, all up to ${longest}`,
    ...histogram.map(
      (bin) => `  ${rangeOf(bin).padStart(columns)}  ${bar(bin.rows / most)} ${bin.rows}`,
    ),
  ];
}

function rangeOf({ from, to }: Lengths['histogram'][number]): string {
  return from === to ? `${from}` : `${from} to ${to}`;
}

/** In eighths of a column; a bin with any row shows one at least. */
function bar(share: number): string {
  const eighths = share > 0 ? Math.max(1, Math.round(share * barColumns * 8)) : 0;
  const rest = at(['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'], eighths % 8);
  return '█'.repeat(Math.floor(eighths / 8)) + rest;
}

function duplicateLines(
  { rows, groups, examples }: Duplicates,
  nameOf: (row: RowNumber) => string,
): string[] {
  if (rows === 0) return [];
  const shown = examples.map((group) => group.map(nameOf).join(' = ')).join('; ');
  const more = groups > examples.length ? `, and ${groups - examples.length} more` : '';
  return [
    `warning: ${countOf(rows, 'row')} equal to an earlier one in what is trained on: ${shown}${more}`,
  ];
}
