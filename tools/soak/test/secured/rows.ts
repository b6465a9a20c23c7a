import { marker } from './marker.js';

/** Files of rows with texts in them that may come out nowhere. */
export interface MarkedRows {
  readonly data: string;
  readonly validation: string;
  /** A row of it is cut off within its text. */
  readonly broken: string;
  /** Of the data, without its extension. */
  readonly fileName: string;
  readonly markers: readonly string[];
}

/** @param lines rows with `prompt` and `completion` */
export function markedRows(lines: readonly string[]): MarkedRows {
  const names = ['prompt', 'completion', 'field', 'long', 'validation', 'broken', 'file'] as const;
  const texts = Object.fromEntries(names.map((name) => [name, marker(`row-${name}`)])) as Record<
    (typeof names)[number],
    string
  >;
  const row = (values: Readonly<Record<string, string>>): string =>
    JSON.stringify({ prompt: 'Who is it?', completion: 'Nobody.', ...values });
  const [train, held] = [lines.slice(0, 60), lines.slice(60, 68)];
  const data = [
    row({ prompt: texts.prompt }),
    ...train,
    row({ completion: texts.completion }),
    row({ note: texts.field }),
    row({ prompt: `${texts.long} `.repeat(50) }),
  ];
  return {
    data: text(data),
    validation: text([...held, row({ completion: texts.validation })]),
    broken: text([...train, row({ prompt: texts.broken }).slice(0, -12)]),
    fileName: texts.file,
    markers: Object.values(texts),
  };
}

function text(rows: readonly string[]): string {
  return `${rows.join('\n')}\n`;
}
