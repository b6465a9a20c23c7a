import { at, firstError, get } from '@emloc/checked';
import { DeviceError, type Device, type HostArray, type HostBuffer } from '@emloc/device';
import pLimit from 'p-limit';

import { PagerError } from './errors.js';
import { HostMemory } from './host-memory.js';
import { heldTensor, hostLayout, type HostLayout, type LayerSource } from './source.js';
import { StagingPolicy } from './staging-policy.js';
import type { PagerLog } from './statistics.js';

/**
 * Tensor reads under way at once: about a layer's, so that Node's thread pool, which bounds the
 * real parallelism, goes on through them while this thread launches kernels.
 */
const concurrentReads = 16;

/** Where the tensors of a layer come from on their way to the device. */
export interface StagedLayer {
  /**
   * In the order of the layer's spec. Rejects with a PagerError, a DeviceError where the host has
   * no memory, or the source's own error about its data.
   */
  readonly arrays: Promise<readonly HostArray[]>;
  /** The arrays are not looked at any more. To be called exactly once, after `arrays` settled. */
  [Symbol.dispose](): void;
}

/** What comes after a load, for the host tier to decide with. */
export interface Outlook {
  /** Layers that will be loaded onto the device, in order; null where that is unknown. */
  readonly loads: readonly number[] | null;
  readonly prefetch: boolean;
}

/** Source of the layers that go to the device. */
export interface Staging {
  readonly heldBytes: number;
  /** Every layer is here: an outlook changes nothing. */
  readonly holdsAll: boolean;
  stage(layer: number, outlook: Outlook): StagedLayer;
  /** Lets go of everything that nothing uses. */
  trim(): void;
  /** Settles when all memory is given back: after running reads and after all releases. */
  close(reason: unknown): Promise<void>;
}

export interface HostTierOptions {
  readonly device: Device;
  readonly source: LayerSource;
  readonly capacityBytes: number;
  readonly log: PagerLog;
  /** Aborted: reads that have not begun never do. */
  readonly signal: AbortSignal;
}

/** A layer in host memory, or on its way there. */
interface Entry {
  readonly layer: number;
  buffer: HostBuffer | null;
  /** Settles when reading is over. */
  readonly filled: Promise<readonly HostArray[]>;
  users: number;
  isEvicted: boolean;
  isSettled: boolean;
}

/**
 * Layers as they are held, in page-locked memory under a budget; what does not stay is read again
 * from the source.
 */
export class HostTier implements Staging {
  readonly #layouts: readonly HostLayout[];
  readonly #policy: StagingPolicy;
  readonly #memory: HostMemory;
  readonly #entries = new Map<number, Entry>();
  /** Entries whose buffers are not back yet, evicted ones included. */
  readonly #live = new Set<Entry>();
  readonly #limit = pLimit(concurrentReads);
  #onEmpty: (() => void) | null = null;

  constructor(private readonly options: HostTierOptions) {
    this.#layouts = options.source.layers.map(hostLayout);
    this.#policy = new StagingPolicy(
      this.#layouts.map(({ bytes }) => bytes),
      options.capacityBytes,
    );
    this.#memory = new HostMemory(options.device, options.capacityBytes);
  }

  get heldBytes(): number {
    return this.#memory.heldBytes;
  }

  get holdsAll(): boolean {
    return this.#policy.holdsAll;
  }

  stage(layer: number, { loads, prefetch }: Outlook): StagedLayer {
    const step = this.#policy.access(layer, loads, prefetch);
    step.evict.forEach((victim) => this.#evict(victim));
    if (step.load) this.#fill(layer);
    const entry = get(this.#entries, layer);
    entry.users += 1;
    for (const planned of step.prefetch) {
      planned.evict.forEach((victim) => this.#evict(victim));
      this.#fill(planned.layer);
    }
    return {
      arrays: entry.filled,
      [Symbol.dispose]: () => {
        entry.users -= 1;
        this.#reclaim(entry);
      },
    };
  }

  trim(): void {
    for (const { layer, users } of [...this.#entries.values()])
      if (users === 0) this.#discard(layer);
    this.#memory.trim();
  }

  async close(reason: unknown): Promise<void> {
    for (const layer of [...this.#entries.keys()]) this.#discard(layer);
    this.#memory.close(reason);
    if (this.#live.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    this.#memory.trim();
  }

  #fill(layer: number): void {
    const { promise, resolve, reject } = deferred<readonly HostArray[]>();
    const entry: Entry = {
      layer,
      buffer: null,
      filled: promise,
      users: 0,
      isEvicted: false,
      isSettled: false,
    };
    this.#entries.set(layer, entry);
    this.#live.add(entry);
    void this.#read(entry)
      .then(resolve, (error: unknown) => {
        if (this.#entries.get(layer) === entry) this.#discard(layer);
        reject(this.#failure(layer, error));
      })
      .then(() => {
        entry.isSettled = true;
        this.#reclaim(entry);
      });
    promise.catch(() => undefined);
  }

  async #read(entry: Entry): Promise<readonly HostArray[]> {
    const { layer } = entry;
    const { signal, log, source } = this.options;
    const { bytes: length, tensors } = at(this.#layouts, layer);
    if (length > 0) entry.buffer = await this.#memory.allocate(length);
    const bytes = entry.buffer?.bytes ?? new Uint8Array(0);
    const started = performance.now();
    const arrays = tensors.map(({ spec, start, end }) => ({
      bytes: bytes.subarray(start, end),
      dtype: heldTensor(spec).dtype,
    }));
    let readBytes = 0;
    const reads = tensors.map(({ spec, start, end }, index) =>
      this.#limit(async () => {
        signal.throwIfAborted();
        if (entry.isEvicted && entry.users === 0) return;
        await source.read(layer, spec.name, at(arrays, index).bytes);
        readBytes += end - start;
      }),
    );
    const failed = (await Promise.allSettled(reads)).find((read) => read.status === 'rejected');
    if (readBytes > 0)
      log.add({
        type: 'read',
        layer,
        bytes: readBytes,
        seconds: (performance.now() - started) / 1000,
      });
    if (failed) throw failed.reason;
    return arrays;
  }

  #failure(layer: number, thrown: unknown): Error {
    const error = firstError(thrown);
    if (error instanceof PagerError || error instanceof DeviceError) return error;
    if (error instanceof Error && isOfTheData(error)) return error;
    const name = at(this.options.source.layers, layer).name;
    const message = error instanceof Error ? error.message : String(error);
    return new PagerError(
      'PAGER_READ_FAILED',
      `pager: layer ${layer} (${name}) could not be read: ${message}`,
      { cause: error },
    );
  }

  #discard(layer: number): void {
    this.#policy.discard(layer);
    this.#evict(layer);
  }

  #evict(layer: number): void {
    const entry = this.#entries.get(layer);
    if (!entry) return;
    this.#entries.delete(layer);
    entry.isEvicted = true;
    this.#reclaim(entry);
  }

  #reclaim(entry: Entry): void {
    if (!entry.isEvicted || !entry.isSettled || entry.users > 0 || !this.#live.delete(entry))
      return;
    if (entry.buffer) this.#memory.free(entry.buffer);
    if (this.#live.size === 0) this.#onEmpty?.();
  }
}

/** See LayerSource: what is read is wrong, not the reading of it. */
function isOfTheData(error: Error): boolean {
  return 'isOfTheData' in error && error.isOfTheData === true;
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
