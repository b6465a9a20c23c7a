import { countOf, datasetWarnings, type DatasetReport, type TextDescription } from '@emloc/dataset';

/** Rows of a file, and how they became text. */
export interface RowsSummary {
  readonly report: DatasetReport;
  readonly text: TextDescription;
  readonly date: string;
}

/** What a user should know of their rows before a device is used, as lines. */
export function rowsSummary({ report, text, date }: RowsSummary): string[] {
  return [
    `${countOf(report.rows, 'row')} to learn from${ofSources(report)}: ${report.tokens} tokens, ${report.trainedTokens} of them trained on; the longest has ${report.longestTokens}`,
    ...imagesLine(report),
    templateLine(text, date),
    `special tokens: ${specialTokens(text)}`,
    ...datasetWarnings(report, { withNames: true }).map((warning) => `warning: ${warning}`),
  ];
}

/** A file of rows, as a part of what is trained on. */
interface SharedFile {
  /** Absent where it is not told: there is its number. */
  readonly path?: string;
  readonly weight: number;
  readonly share: number;
  readonly report: DatasetReport;
}

/** What several files, or a weighted one, come to in an epoch, as lines. */
export function filesLines(files: readonly SharedFile[]): string[] {
  if (files.length === 1 && files.every(({ weight }) => weight === 1)) return [];
  return files.map(
    ({ path, weight, share, report }, index) =>
      `${path ?? `data ${index + 1}`}: ${countOf(report.rows, 'row')}, ${report.tokens} tokens, weight ${weight}: ${percent(share)} of the rows of an epoch`,
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function imagesLine({ images, tiles }: DatasetReport): string[] {
  return images > 0 ? [`${countOf(images, 'image')} in ${countOf(tiles, 'tile')}`] : [];
}

function ofSources({ rows, sourceRows }: DatasetReport): string {
  return rows === sourceRows ? '' : ` from ${countOf(sourceRows, 'row')} of the file`;
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
