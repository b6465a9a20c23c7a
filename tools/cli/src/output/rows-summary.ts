import type { DatasetReport, TextDescription } from '@emloc/dataset';

/** Rows of a file, and how they became text. */
export interface RowsSummary {
  readonly report: DatasetReport;
  readonly text: TextDescription;
  readonly date: string;
}

/** What a user should know of their rows before a device is used, as lines. */
export function rowsSummary({ report, text, date }: RowsSummary): string[] {
  return [
    `${count(report.rows, 'row')} to learn from${ofSources(report)}: ${report.tokens} tokens, ${report.trainedTokens} of them trained on; the longest has ${report.longestTokens}`,
    templateLine(text, date),
    `special tokens: ${specialTokens(text)}`,
    ...warningsOf(report).map((warning) => `warning: ${warning}`),
  ];
}

/** What was dropped, cut, ignored or guessed, as far as there is any. */
export function warningsOf(report: DatasetReport): string[] {
  const { lostTextRows, sourceRows, partedRows, truncatedRows, droppedRows, lostTokens } = report;
  const unused = Object.entries(report.unusedColumns).map(
    ([name, rows]) => `${JSON.stringify(name)} (${count(rows, 'row')})`,
  );
  return [
    lostTextRows > 0
      ? `in ${lostTextRows} of ${count(sourceRows, 'row')} the chat template leaves out text that the assistant wrote (--strict makes this an error)`
      : '',
    partedRows > 0
      ? `${count(partedRows, 'row')} became one row for each turn that is trained on, since the chat template writes earlier turns differently once later ones follow`
      : '',
    truncatedRows > 0 ? `${count(truncatedRows, 'row')} cut to the maximum length` : '',
    droppedRows > 0
      ? `${count(droppedRows, 'row')} dropped, with nothing to train on within the maximum length`
      : '',
    lostTokens > 0 ? `${count(lostTokens, 'token')} lost by that` : '',
    unused.length > 0 ? `columns that are not used: ${unused.join(', ')}` : '',
  ].filter(Boolean);
}

function ofSources({ rows, sourceRows }: DatasetReport): string {
  return rows === sourceRows ? '' : ` from ${count(sourceRows, 'row')} of the file`;
}

function templateLine({ templates }: TextDescription, date: string): string {
  if (templates.length === 0)
    return 'chat template: none, prompt and completion are joined as they are';
  const named = templates.map(({ name, origin }) => `${name} (${origin})`);
  return `chat template: ${named.join(', ')}; date ${date}`;
}

function specialTokens({ specialTokens }: TextDescription): string {
  const named = Object.entries(specialTokens).map(
    ([name, token]) => `${name} ${JSON.stringify(token)}`,
  );
  return named.length > 0 ? named.join(', ') : 'none';
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
