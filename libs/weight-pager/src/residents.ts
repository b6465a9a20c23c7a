import { at } from '@emloc/checked';
import type { Device, HostArray, MemoryCategory } from '@emloc/device';

import { DeviceLayer } from './device-layer.js';
import { PagerError } from './errors.js';
import type { Outlook, StagedLayer, Staging } from './host-tier.js';
import { storedBytes, type LayerSource } from './source.js';
import type { PagerLog } from './statistics.js';

/** A layer with memory on the device. */
export interface Resident {
  readonly layer: number;
  readonly memory: DeviceLayer;
  /** Settles when the copy is on its way; null: not started. */
  ready: Promise<void> | null;
  isReady: boolean;
}

export interface ResidentsOptions {
  readonly device: Device;
  readonly source: LayerSource;
  readonly category: MemoryCategory;
  /** By layer, what it takes on the device. */
  readonly layerBytes: readonly number[];
  readonly staging: Staging;
  readonly log: PagerLog;
  /** What the accesses to come ask of the host. */
  readonly outlook: () => Outlook;
  /** Told of a copy that failed after it was started. */
  readonly onFailedCopy: (error: unknown) => void;
}

/** Layers that have memory on the device, and the copies on their way to them. */
export class Residents {
  readonly #layers = new Map<number, Resident>();
  /** Those that have not been started, in the order of their use. */
  readonly #waiting = new Set<Resident>();
  readonly #copies = new Set<Promise<void>>();
  #bytes = 0;

  constructor(private readonly options: ResidentsOptions) {}

  /** What they take on the device. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Layers that have not been started, in the order of their use. */
  get waiting(): readonly number[] {
    return [...this.#waiting].map(({ layer }) => layer);
  }

  get(layer: number): Resident | undefined {
    return this.#layers.get(layer);
  }

  /** Whether it has its memory still. */
  has(resident: Resident): boolean {
    return this.#layers.get(resident.layer) === resident;
  }

  /** Takes memory for a layer that has none. @throws OutOfBudgetError, DeviceError */
  place(layer: number): Resident {
    const { device, source, category, log } = this.options;
    const memory = new DeviceLayer(device, at(source.layers, layer), category);
    const resident: Resident = { layer, memory, ready: null, isReady: false };
    this.#layers.set(layer, resident);
    this.#waiting.add(resident);
    const bytes = this.#bytesOf(layer);
    this.#bytes += bytes;
    log.add({ type: 'page-in', layer, bytes });
    return resident;
  }

  /** Begins to bring it, unless that was begun. */
  start(resident: Resident): Resident {
    if (resident.ready) return resident;
    this.#waiting.delete(resident);
    resident.ready = this.#load(resident).then(() => {
      resident.isReady = true;
    });
    resident.ready.catch(() => undefined);
    return resident;
  }

  startAll(): void {
    for (const resident of this.#waiting) this.start(resident);
  }

  evict(layer: number): void {
    const resident = this.#layers.get(layer);
    if (!resident) return;
    this.remove(resident);
    this.options.log.add({ type: 'page-out', layer, bytes: this.#bytesOf(layer) });
  }

  /** Gives its memory back. */
  remove(resident: Resident): void {
    this.#layers.delete(resident.layer);
    this.#waiting.delete(resident);
    this.#bytes -= this.#bytesOf(resident.layer);
    resident.memory.dispose();
  }

  /** Gives all memory back; what failed in that. */
  removeAll(): readonly unknown[] {
    const failures: unknown[] = [];
    for (const resident of [...this.#layers.values()]) {
      try {
        this.remove(resident);
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }

  /** Resolves when no copy is under way. */
  async copied(): Promise<void> {
    await Promise.all(this.#copies);
  }

  #bytesOf(layer: number): number {
    return at(this.options.layerBytes, layer);
  }

  /** Resolves when the copy is on its way, not when it is done. */
  async #load({ layer, memory }: Resident): Promise<void> {
    const { staging, outlook } = this.options;
    const staged = staging.stage(layer, outlook());
    try {
      const arrays = await staged.arrays;
      if (!memory.isDisposed) this.#upload(layer, memory, arrays);
    } finally {
      this.#follow(holdWhileCopied(memory, staged));
    }
  }

  #upload(layer: number, memory: DeviceLayer, arrays: readonly HostArray[]): void {
    const { source, log } = this.options;
    const spec = at(source.layers, layer);
    try {
      memory.upload(arrays);
    } catch (error) {
      throw new PagerError(
        'PAGER_COPY_FAILED',
        `pager: layer ${layer} (${spec.name}) could not be copied to the device`,
        { cause: error },
      );
    }
    log.add({ type: 'upload', layer, bytes: storedBytes(spec) });
  }

  /** Keeps track of a copy; when all layers have come, nothing need stay in host memory. */
  #follow(copy: Promise<void>): void {
    const { source, staging, onFailedCopy } = this.options;
    const followed = copy.catch(onFailedCopy).then(() => {
      this.#copies.delete(followed);
      if (this.#layers.size === source.layers.length && this.#copies.size === 0) staging.trim();
    });
    this.#copies.add(followed);
  }
}

/** Holds what is staged for as long as it is copied. */
async function holdWhileCopied(memory: DeviceLayer, staged: StagedLayer): Promise<void> {
  using _source = staged;
  await memory.copied();
}
