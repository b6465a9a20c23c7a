import { readFile, stat } from 'node:fs/promises';
import { at } from '@emloc/checked';

import { RowError } from '../../errors.js';
import { decodeRow } from '../../rows/decode-row.js';

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
  const { size } = await stat(path);
  if (size > maxBytes) throw new RowError(null, `has ${size} bytes, at most ${maxBytes}`);
  const text = decodeRow(await readFile(path)).replace(/^\ufeff/, '');
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
  const field = /("(?:[^"]|"")*"|(?!")[^,\r\n]*)(,|\r\n|\n|\r|$)/y;
  const records: CsvRecord[] = [];
  let [line, start, fields] = [1, 1, [] as string[]];
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (!match) throw new RowError(null, `line ${line} has a quotation mark that does not end`);
    const [whole, value, end] = [match[0], at(match, 1), match[2]];
    fields.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    line += whole.split(/\r\n|\n|\r/).length - 1;
    if (end === ',' && field.lastIndex < text.length) continue;
    if (end === ',') fields.push('');
    if (fields.some((each) => each !== '')) records.push({ line: start, fields });
    [start, fields] = [line, []];
  }
  return records;
}
