import { at } from '@emloc/checked';

import { RowError } from '../../errors.js';
import { decodeRow } from '../../rows/decode-row.js';
import { smallFile } from '../../rows/small-file.js';

/** A record: the line where it begins, from 1, and its fields. */
interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

const maxBytes = 2 ** 26;

/** Records by the names of the first one. @throws RowError */
export async function* readCsv(
  path: string,
): AsyncGenerator<{ readonly line: number; readonly fields: Readonly<Record<string, string>> }> {
  const text = decodeRow(await smallFile(path, maxBytes)).replace(/^\ufeff/, '');
  const [names, ...records] = parseCsv(text);
  for (const { line, fields } of records) {
    const named = (names?.fields ?? []).flatMap((name, index) => {
      const [field] = fields.slice(index, index + 1);
      return field === undefined ? [] : [[name, field] as const];
    });
    yield { line, fields: Object.fromEntries(named) };
  }
}

/** As RFC 4180 has it; lines may end in a line feed alone, blank ones are left out. */
export function parseCsv(text: string): CsvRecord[] {
  const field = /([^,\r\n]*)(,|\r\n|\n|\r|$)/y;
  const records: CsvRecord[] = [];
  let [line, start, fields] = [1, 1, [] as string[]];
  while (field.lastIndex < text.length) {
    const from = field.lastIndex;
    const quoteEnd = endOfQuoted(text, from);
    if (quoteEnd === 0) throw unended(line);
    field.lastIndex = quoteEnd ?? from;
    const match = field.exec(text);
    if (!match || (quoteEnd !== null && match[1] !== '')) throw unended(line);
    const end = match[2];
    fields.push(
      quoteEnd === null ? at(match, 1) : text.slice(from + 1, quoteEnd - 1).replaceAll('""', '"'),
    );
    line += text.slice(from, field.lastIndex).split(/\r\n|\n|\r/).length - 1;
    if (end === ',' && field.lastIndex < text.length) continue;
    if (end === ',') fields.push('');
    if (fields.some((each) => each !== '')) records.push({ line: start, fields });
    [start, fields] = [line, []];
  }
  return records;
}

function unended(line: number): RowError {
  return new RowError(null, `line ${line} has a quotation mark that does not end`);
}

/** Index after the quotation mark that ends a field; null: it has none, 0: none ends it. */
function endOfQuoted(text: string, from: number): number | null {
  if (text[from] !== '"') return null;
  let end = text.indexOf('"', from + 1);
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  return end + 1;
}
