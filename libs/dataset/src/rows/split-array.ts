import { DatasetError } from '../errors.js';
import { isJsonSpace, maxRowBytes, rowTooLong, type RawRow } from './raw-row.js';

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The elements of one JSON array as bytes, numbered from 1. Only brackets, commas and strings are
 * looked at; whether an element is valid JSON is for its reader.
 * @throws DatasetError DATASET_UNREADABLE
 */
export async function* splitArray(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<RawRow> {
  const splitter = new ArraySplitter(path);
  for await (const chunk of chunks) yield* splitter.push(chunk);
  splitter.end();
}

class ArraySplitter {
  /** Open brackets; 1 between the elements, 0 before and after the array. */
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isOver = false;
  #number = 1;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(private readonly path: string) {}

  *push(chunk: Uint8Array): Generator<RawRow> {
    let start = this.#depth === 0 ? chunk.length : 0;
    for (let i = 0; i < chunk.length; i += 1) {
      const byte = chunk[i] as number;
      if (this.#isInString) {
        this.#inString(byte);
        continue;
      }
      if (byte === quote) this.#isInString = true;
      else if (byte === openBracket || byte === openBrace) {
        if (this.#depth === 0) {
          if (this.#isOver) throw this.#broken('there is something after the end of the array');
          start = i + 1;
        }
        this.#depth += 1;
      } else if (byte === comma && this.#depth === 1) {
        yield this.#element(chunk.subarray(start, i));
        start = i + 1;
      } else if (byte === closeBracket || byte === closeBrace) {
        this.#depth -= 1;
        if (this.#depth < 0) throw this.#broken('a bracket is closed that was not opened');
        if (this.#depth === 0) {
          yield* this.#lastElement(chunk.subarray(start, i));
          start = chunk.length;
        }
      } else if (this.#isOver && !isJsonSpace(byte))
        throw this.#broken('there is something after the end of the array');
    }
    if (this.#depth > 0) this.#keep(chunk.subarray(start));
  }

  end(): void {
    if (!this.#isOver) throw this.#broken('the file ends within the JSON array');
  }

  #inString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) this.#isInString = false;
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > maxRowBytes) throw rowTooLong(this.path, this.#number);
  }

  #element(last: Uint8Array): RawRow {
    this.#keep(last);
    const bytes = this.#pending.length === 1 ? last : Buffer.concat(this.#pending);
    if (bytes.every(isJsonSpace)) throw this.#broken(`element ${this.#number} is missing`);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#number += 1;
    return { number: this.#number - 1, bytes };
  }

  /** Nothing but white space between the brackets is an empty array. */
  *#lastElement(last: Uint8Array): Generator<RawRow> {
    this.#isOver = true;
    const isEmpty =
      this.#number === 1 && [...this.#pending, last].every((part) => part.every(isJsonSpace));
    if (!isEmpty) yield this.#element(last);
  }

  #broken(reason: string): DatasetError {
    return new DatasetError('DATASET_UNREADABLE', `${this.path}: ${reason}`);
  }
}
