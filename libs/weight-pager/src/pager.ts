import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { PagerError } from './errors.js';
import { HostTier, type Outlook, type Staging } from './host-tier.js';
import { LeasedTensors } from './leased-tensors.js';
import { NoReads } from './no-reads.js';
import { assertOptions, LayerLimits, type PagerOptions } from './options.js';
import { PagingPolicy } from './policy.js';
import type { PlannedLoad } from './residency.js';
import { Residents, type Resident } from './residents.js';
import { hostLayout, storedBytes, twoLargest } from './source.js';
import { PagerLog, type PagerStatistics } from './statistics.js';
import { unless } from './unless.js';

/** A layer on the device for as long as it is held. */
export interface Lease extends Disposable {
  /**
   * By name, in the dtypes that the spec says; to be read only, by kernels launched before
   * `release`. Those that are held small are made whole for this lease, in memory beside what
   * layers may take.
   */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Whether the tensors stay where they are after `release`, until the pager closes. */
  readonly isLasting: boolean;
  /** Launched kernels need not be done. Releasing twice is a no-op. */
  release(): void;
}

/** Layers of a source that take turns on a device. */
export interface Pager extends AsyncDisposable {
  readonly statistics: PagerStatistics;
  /**
   * States the exact order of the accesses to come, in place of what was stated before; an empty
   * order takes it back. Starts to load ahead. Without a schedule the least recently used layer
   * leaves and nothing is loaded ahead.
   * @throws PagerError PAGER_UNKNOWN_LAYER, PAGER_INVALID_OPTIONS, PAGER_OUT_OF_BUDGET,
   * PAGER_ABORTED, PAGER_CLOSED, PAGER_COPY_FAILED
   */
  schedule(order: readonly number[], repeat?: number): void;
  /**
   * Reserves memory during the call, not later: what is on the device depends on the order of calls
   * only.
   * @throws (rejects) PagerError of any code; OutOfBudgetError when the device's own budget has no
   * room; DeviceError
   */
  acquire(layer: number): Promise<Lease>;
  /**
   * Makes accesses that need nothing of the pager, one after another: each layer is on the device,
   * and the schedule asks for no other.
   * @returns false where that is not so; then none was made
   * @throws PagerError PAGER_OUT_OF_SCHEDULE
   */
  pass(layers: readonly number[]): boolean;
  /** Gives everything back, leased layers included, when running reads and copies are over. */
  close(): Promise<void>;
}

/** Opens a pager; it reads nothing yet. @throws PagerError PAGER_INVALID_OPTIONS */
export function openPager(options: PagerOptions): Pager {
  assertOptions(options);
  return new WeightPager(options);
}

class WeightPager implements Pager {
  readonly #limits: LayerLimits;
  readonly #policy: PagingPolicy;
  readonly #staging: Staging;
  readonly #log: PagerLog;
  readonly #residents: Residents;
  readonly #leased = new Set<LeasedTensors>();
  /** Aborted with the PagerError that every later call gets. */
  readonly #stop = new AbortController();
  readonly #prefetch: boolean;
  #closing: Promise<void> | null = null;

  constructor(private readonly options: PagerOptions) {
    const { device, source, category = 'weights', signal } = options;
    this.#prefetch = options.prefetch ?? true;
    this.#limits = new LayerLimits(options);
    this.#policy = new PagingPolicy({
      layerBytes: this.#limits.deviceBytes,
      capacityBytes: options.deviceBytes,
    });
    const diskBytes = source.layers.reduce((sum, layer) => sum + storedBytes(layer), 0);
    const budgets = {
      deviceBudgetBytes: options.deviceBytes,
      hostBudgetBytes: options.hostBytes,
      diskBytes,
    };
    this.#log = new PagerLog(
      () => ({
        ...budgets,
        deviceBytes: this.#residents.bytes,
        hostBytes: this.#staging.heldBytes,
      }),
      options.observer,
    );
    this.#staging = this.#openStaging();
    this.#residents = new Residents({
      device,
      source,
      category,
      layerBytes: this.#limits.deviceBytes,
      staging: this.#staging,
      log: this.#log,
      outlook: () => this.#outlook(),
      onFailedCopy: (error) =>
        this.#fail('PAGER_COPY_FAILED', 'a copy to the device failed', error),
    });
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get statistics(): PagerStatistics {
    return this.#log.statistics;
  }

  schedule(order: readonly number[], repeat = 1): void {
    this.#stop.signal.throwIfAborted();
    for (const layer of order) this.#limits.assertFits(layer);
    this.#apply(this.#policy.schedule(order, repeat));
  }

  async acquire(layer: number): Promise<Lease> {
    const resident = this.#pin(layer);
    const leased = this.#lease(resident);
    const release = (): void => {
      if (!this.#leased.delete(leased)) return;
      leased.dispose();
      this.#unpin(resident);
    };
    try {
      await this.#arrive(resident);
      resident.memory.order();
      leased.fill();
    } catch (error) {
      release();
      throw error;
    }
    const { tensors, isWhole } = leased;
    return {
      tensors,
      isLasting: isWhole && this.#holdsAll,
      release,
      [Symbol.dispose]: release,
    };
  }

  pass(layers: readonly number[]): boolean {
    if (!this.#hasAll(layers)) return false;
    for (const layer of layers) {
      const resident = this.#pin(layer);
      resident.memory.order();
      this.#unpin(resident);
    }
    return true;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #openStaging(): Staging {
    const { device, source, hostBytes, reads } = this.options;
    if (reads === 'none') return new NoReads(source);
    const buffers = twoLargest(source.layers.map((layer) => hostLayout(layer).bytes));
    const capacityBytes = this.#holdsAll ? Math.min(hostBytes, buffers) : hostBytes;
    return new HostTier({
      device,
      source,
      capacityBytes,
      log: this.#log,
      signal: this.#stop.signal,
    });
  }

  /** Nothing ever leaves the device, so that nothing has to stay in host memory. */
  get #holdsAll(): boolean {
    return (
      this.#limits.deviceBytes.reduce((sum, bytes) => sum + bytes, 0) <= this.options.deviceBytes
    );
  }

  /** Whether these layers can be used at once, and no other has been asked for. */
  #hasAll(layers: readonly number[]): boolean {
    if (this.#stop.signal.aborted || this.#residents.waiting.length > 0) return false;
    if (!layers.every((layer) => this.#residents.get(layer)?.isReady)) return false;
    return (this.#policy.forecastLoads() ?? []).length === 0;
  }

  /** Everything about an access that touches a budget, at once. */
  #pin(layer: number): Resident {
    this.#stop.signal.throwIfAborted();
    this.#limits.assertFits(layer);
    const step = this.#policy.access(layer);
    const known = this.#residents.get(layer);
    this.#log.acquired(Boolean(known?.ready));
    step.evict.forEach((victim) => this.#residents.evict(victim));
    try {
      return this.#residents.start(known ?? this.#place(layer));
    } finally {
      this.#apply(step.prefetch);
    }
  }

  /** @throws OutOfBudgetError, DeviceError; then the layer is not pinned any more */
  #lease(resident: Resident): LeasedTensors {
    const { device, source } = this.options;
    try {
      const spec = at(source.layers, resident.layer);
      const leased = new LeasedTensors(device, spec, resident.memory.tensors);
      this.#leased.add(leased);
      return leased;
    } catch (error) {
      this.#unpin(resident);
      throw error;
    }
  }

  #unpin(resident: Resident): void {
    if (this.#stop.signal.aborted || !this.#residents.has(resident)) return;
    this.#apply(this.#policy.release(resident.layer));
  }

  /**
   * Takes memory for planned loads. One that finds none is left to its access, which asks again and
   * reports the error.
   */
  #apply(loads: readonly PlannedLoad[]): void {
    for (const { layer, evict } of loads) {
      evict.forEach((victim) => this.#residents.evict(victim));
      try {
        this.#place(layer);
      } catch {
        continue;
      }
    }
    if (this.#prefetch) this.#residents.startAll();
  }

  #place(layer: number): Resident {
    try {
      return this.#residents.place(layer);
    } catch (error) {
      this.#policy.discard(layer);
      throw error;
    }
  }

  #outlook(): Outlook {
    if (this.#staging.holdsAll) return { loads: null, prefetch: false };
    const forecast = this.#policy.forecastLoads();
    const loads = forecast && [...this.#residents.waiting, ...forecast];
    return { loads, prefetch: this.#prefetch };
  }

  async #arrive(resident: Resident): Promise<void> {
    if (resident.isReady && !this.#stop.signal.aborted) return;
    const started = performance.now();
    try {
      await unless(this.#stop.signal, resident.ready as Promise<void>);
    } catch (error) {
      if (this.#residents.has(resident)) {
        this.#policy.discard(resident.layer);
        this.#residents.remove(resident);
      }
      throw error;
    }
    this.#log.add({
      type: 'stall',
      layer: resident.layer,
      seconds: (performance.now() - started) / 1000,
    });
  }

  readonly #onAbort = (): void =>
    this.#fail('PAGER_ABORTED', 'aborted', this.options.signal?.reason);

  #fail(
    code: 'PAGER_ABORTED' | 'PAGER_COPY_FAILED' | 'PAGER_CLOSED',
    what: string,
    cause?: unknown,
  ): void {
    this.#stop.abort(new PagerError(code, `pager: ${what}`, { cause }));
  }

  async #close(): Promise<void> {
    this.#fail('PAGER_CLOSED', 'closed');
    this.options.signal?.removeEventListener('abort', this.#onAbort);
    for (const leased of this.#leased) leased.dispose();
    this.#leased.clear();
    const failures = this.#residents.removeAll();
    await this.#staging.close(this.#stop.signal.reason);
    await this.#residents.copied();
    if (failures.length > 0)
      throw new PagerError('PAGER_COPY_FAILED', 'pager: device memory could not be given back', {
        cause: failures[0],
      });
  }
}
