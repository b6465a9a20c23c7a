import { once } from 'node:events';
import { at } from '@emloc/checked';
import { CsvError, parse, type Parser } from 'csv-parse';

import { DatasetError, RowError } from '../errors.js';
import { decodeRow } from './decode-row.js';
import { maxRowBytes, rowTooLong, type RawRow } from './raw-row.js';

/** Columns of a file at most: fields that are empty take memory without taking bytes. */
const mostColumns = 10_000;

/** What is wrong with quotation marks and records, by the parser's code. */
const faults: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'has a quotation mark that does not end',
  CSV_INVALID_CLOSING_QUOTE: 'has characters behind the quotation mark that ends a field',
  INVALID_OPENING_QUOTE: 'has a quotation mark in a field that does not begin with one',
};

/**
 * The records of a CSV file behind its header, each as a JSON object of texts by the header's
 * names, numbered by the line that it begins on. An empty field is null; blank lines are left out.
 * Fields are as RFC 4180 has them, lines end in any way.
 * @throws DatasetError DATASET_UNREADABLE
 */
export async function* splitCsv(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<RawRow> {
  let header: readonly string[] | undefined;
  for await (const { line, fields } of records(chunks, path)) {
    if (fields.every((field) => field === '')) continue;
    if (header) yield rowOf(header, fields, line);
    else header = headerOf(fields, `${path}:${line}`);
  }
}

interface CsvRecord {
  readonly line: number;
  /** Bytes as characters, so that they are decoded where it can be told which are wrong. */
  readonly fields: readonly string[];
}

async function* records(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<CsvRecord> {
  const reader = new RecordReader(path);
  for await (const chunk of chunks) {
    await reader.push(chunk);
    yield* reader.taken();
  }
  await reader.end();
  yield* reader.taken();
}

/** Has the records in the order of the file, also those before one that cannot be read. */
class RecordReader {
  #records: (readonly string[])[] = [];
  #line = 1;
  #failure: Error | null = null;
  readonly #parser: Parser;

  constructor(private readonly path: string) {
    this.#parser = parse({
      encoding: 'latin1',
      relax_column_count: true,
      record_delimiter: ['\r\n', '\n', '\r'],
      max_record_size: maxRowBytes,
      cast: (field, { index }) => this.#counted(field, index),
      on_record: (record: string[]) => {
        this.#records.push(record);
        return null;
      },
    });
    this.#parser.on('error', (error) => (this.#failure ??= error)).resume();
  }

  async push(chunk: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#parser.write(chunk, () => resolve());
    });
  }

  async end(): Promise<void> {
    if (this.#parser.destroyed) return;
    const closed = once(this.#parser, 'close');
    this.#parser.end();
    await closed.catch(() => undefined);
  }

  /** @throws DatasetError behind the last of them */
  *taken(): Generator<CsvRecord> {
    const records = this.#records;
    this.#records = [];
    for (const fields of records) {
      const line = this.#line;
      this.#line += fields.reduce((sum, field) => sum + lineEnds(field), 1);
      yield { line, fields };
    }
    if (this.#failure) throw this.#refusal(this.#failure);
  }

  #counted(field: string, index: number): string {
    if (index < mostColumns) return field;
    throw new RowError(null, `has more than ${mostColumns} fields`);
  }

  #refusal(cause: Error): Error {
    const place = `${this.path}:${this.#line}`;
    if (cause instanceof RowError)
      return new DatasetError('DATASET_UNREADABLE', `${place}: ${cause.reason}`, { cause });
    if (!(cause instanceof CsvError)) return cause;
    if (cause.code === 'CSV_MAX_RECORD_SIZE') return rowTooLong(this.path, this.#line);
    // The parser's own words quote the field.
    const reason = faults[cause.code] ?? `is no CSV (${cause.code})`;
    return new DatasetError('DATASET_UNREADABLE', `${place}: ${reason}`);
  }
}

function lineEnds(field: string): number {
  return field.match(/\r\n|\n|\r/g)?.length ?? 0;
}

/** @throws DatasetError DATASET_UNREADABLE */
function headerOf(fields: readonly string[], place: string): readonly string[] {
  try {
    const names = fields.map(decodeField);
    if (names.length === 1 && /[;\t]/.test(at(names, 0)))
      throw new RowError(null, 'is one name with semicolons or tabs: columns end in commas');
    // Spreadsheets and data frames leave columns without a name, which nothing asks for.
    const twice = names.findIndex((name, index) => name !== '' && names.indexOf(name) < index);
    if (twice < 0) return names;
    throw new RowError(null, `has the name of its column ${twice + 1} twice`);
  } catch (cause) {
    if (!(cause instanceof RowError)) throw cause;
    throw new DatasetError('DATASET_UNREADABLE', `${place}: the header ${cause.reason}`, { cause });
  }
}

function rowOf(header: readonly string[], fields: readonly string[], number: number): RawRow {
  try {
    if (fields.length !== header.length)
      throw new RowError(null, `has ${fields.length} fields, the header has ${header.length}`);
    const named = header.map((name, index) => [name, decodeField(at(fields, index)) || null]);
    return { number, bytes: Buffer.from(JSON.stringify(Object.fromEntries(named))) };
  } catch (fault) {
    if (!(fault instanceof RowError)) throw fault;
    return { number, bytes: Buffer.from(fields.join(','), 'latin1'), fault };
  }
}

/** @throws RowError */
function decodeField(bytes: string): string {
  return decodeRow(Buffer.from(bytes, 'latin1'));
}
