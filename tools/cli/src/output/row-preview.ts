import { countOf, type RowImage, type RowOutcome } from '@emloc/dataset';

type Shown = Extract<RowOutcome, { kind: 'row' }>;
type Dropped = Extract<RowOutcome, { kind: 'dropped' }>;

/** How what is trained on is told from the rest. */
export interface Marks {
  readonly before: string;
  readonly after: string;
}

export const brackets: Marks = { before: '⟦', after: '⟧' };
export const colours: Marks = { before: '\u001b[32m', after: '\u001b[39m' };

/** A row as text, with what is trained on between marks. */
export function rowPreview(
  { row, text }: Shown,
  marks: Marks,
  visible: (text: string) => string,
): string {
  const trained = row.trained.reduce((sum, flag) => sum + flag, 0);
  const title = `row ${row.line}${part(row)}: ${row.ids.length} tokens, ${trained} trained on${row.isCut ? ', cut' : ''}`;
  const images = (row.images ?? []).map((image) => `${visible(imageLine(image))}\n`).join('');
  return `${title}\n${images}${indent(text ? marked(text, marks, visible) : '')}`;
}

function imageLine(image: RowImage): string {
  const { width, height, tiles, contextTokens } = image;
  return `  image ${imageName(image)}: ${width} x ${height}, ${countOf(tiles, 'tile')}, ${contextTokens} tokens`;
}

/** What the row calls it; of bytes in the row, how many they are. */
export function imageName({ input }: RowImage): string {
  return input.kind === 'file' ? input.path : `data of ${input.bytes.length} bytes`;
}

export function droppedPreview({ line, reason, ...row }: Dropped): string {
  return `row ${line}${part(row)}: dropped, ${reason}`;
}

function part({ part: number }: { readonly part?: number }): string {
  return number === undefined ? '' : `, part ${number}`;
}

function marked(
  { text, ranges }: NonNullable<Shown['text']>,
  { before, after }: Marks,
  visible: (text: string) => string,
): string {
  let [shown, place] = ['', 0];
  for (const { start, end } of ranges) {
    shown += `${visible(text.slice(place, start))}${before}${visible(text.slice(start, end))}${after}`;
    place = end;
  }
  return shown + visible(text.slice(place));
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
