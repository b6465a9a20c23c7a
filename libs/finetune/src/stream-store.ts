import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';

/** A stream of one row, (rows, width) in the device's compute dtype. */
export interface StoredStream {
  readonly bytes: Uint8Array;
  readonly shape: readonly number[];
}

/** Where a row's streams lie: in memory, or from an offset of the file. */
type Place =
  | { readonly kind: 'memory'; readonly stream: StoredStream }
  | {
      readonly kind: 'file';
      readonly offset: number;
      readonly length: number;
      readonly shape: readonly number[];
    };

/** Streams of rows, kept in host memory as far as a limit goes and in a temporary file beyond. */
export class StreamStore {
  readonly #places = new Map<string, Place>();
  #memoryBytes = 0;
  #file: { readonly handle: FileHandle; readonly folder: string; end: number } | null = null;

  constructor(
    private readonly options: {
      /** What stays in host memory; Infinity: all. */
      readonly hostBytes: number;
      /** Where the file is made. */
      readonly folder: string;
    },
  ) {}

  /** Keeps a copy of the bytes. */
  async put(row: number, name: string, { bytes, shape }: StoredStream): Promise<void> {
    const key = keyOf(row, name);
    if (this.#memoryBytes + bytes.byteLength <= this.options.hostBytes) {
      this.#memoryBytes += bytes.byteLength;
      this.#places.set(key, { kind: 'memory', stream: { bytes: bytes.slice(), shape } });
      return;
    }
    const file = (this.#file ??= await this.#open());
    const offset = file.end;
    file.end += bytes.byteLength;
    await file.handle.write(bytes, 0, bytes.byteLength, offset);
    this.#places.set(key, { kind: 'file', offset, length: bytes.byteLength, shape });
  }

  async get(row: number, name: string): Promise<StoredStream> {
    const place = get(this.#places, keyOf(row, name));
    if (place.kind === 'memory') return place.stream;
    const bytes = new Uint8Array(place.length);
    const read = await this.#file?.handle.read(bytes, 0, place.length, place.offset);
    if (read?.bytesRead !== place.length)
      throw new Error(`stream ${name} of row ${row}: its temporary file is cut`);
    return { bytes, shape: place.shape };
  }

  async close(): Promise<void> {
    this.#places.clear();
    const file = this.#file;
    this.#file = null;
    if (!file) return;
    await file.handle.close();
    await rm(file.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(): Promise<{ handle: FileHandle; folder: string; end: number }> {
    const folder = await mkdtemp(join(this.options.folder, 'emloc-streams-'));
    return { handle: await open(join(folder, 'streams'), 'w+'), folder, end: 0 };
  }
}

function keyOf(row: number, name: string): string {
  return `${row} ${name}`;
}
