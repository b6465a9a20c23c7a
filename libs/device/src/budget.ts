import { DeviceError, OutOfBudgetError } from './errors.js';

/** What a reservation is for; the categories of the memory report. */
export const memoryCategories = [
  'weights',
  'factors',
  'activations',
  'saved',
  'lora',
  'optimizer',
  'statistics',
  'workspace',
  'reserve',
] as const;

export type MemoryCategory = (typeof memoryCategories)[number];

/** Bytes held in a budget until `release`; releasing twice is a no-op. */
export interface Reservation {
  readonly bytes: number;
  readonly category: MemoryCategory;
  release(): void;
}

/**
 * Accounts for device memory against a hard cap. Every allocation of a device holds a reservation,
 * so `inUseBytes` is what is on the device and `peakBytes` the most that ever was.
 */
export class MemoryBudget {
  #inUse = 0;
  #peak = 0;
  readonly #byCategory = new Map<MemoryCategory, number>(
    memoryCategories.map((category) => [category, 0]),
  );
  readonly #scopes = new Set<PeakScope>();

  /** @param totalBytes the cap in bytes; `Infinity` counts without a cap. */
  constructor(readonly totalBytes: number) {
    if (!(totalBytes > 0))
      throw new DeviceError(
        'DEVICE_UNSUPPORTED',
        `memory budget must be positive, got ${totalBytes}`,
      );
  }

  get inUseBytes(): number {
    return this.#inUse;
  }

  get peakBytes(): number {
    return this.#peak;
  }

  get freeBytes(): number {
    return this.totalBytes - this.#inUse;
  }

  /** Bytes in use by category. */
  inUseBytesOf(category: MemoryCategory): number {
    return this.#byCategory.get(category) ?? 0;
  }

  /** @throws OutOfBudgetError when the cap would be passed; nothing is reserved then. */
  reserve(bytes: number, category: MemoryCategory, label: string): Reservation {
    if (bytes > this.freeBytes)
      throw new OutOfBudgetError(label, bytes, this.freeBytes, this.totalBytes);
    this.#add(bytes, category);
    let held = true;
    return {
      bytes,
      category,
      release: () => {
        if (!held) return;
        held = false;
        this.#add(-bytes, category);
      },
    };
  }

  /** Starts to record a peak of its own (a stage's, say). `exclude` leaves categories out of it. */
  openPeakScope(exclude: readonly MemoryCategory[] = []): PeakScope {
    const scope = new PeakScope(this, exclude, () => this.#scopes.delete(scope));
    this.#scopes.add(scope);
    return scope;
  }

  #add(bytes: number, category: MemoryCategory): void {
    this.#inUse += bytes;
    this.#byCategory.set(category, this.inUseBytesOf(category) + bytes);
    if (bytes <= 0) return;
    this.#peak = Math.max(this.#peak, this.#inUse);
    for (const scope of this.#scopes) scope.sample();
  }
}

/** The highest use seen between `openPeakScope` and `close`. */
export class PeakScope {
  #peak = 0;

  constructor(
    private readonly budget: MemoryBudget,
    private readonly exclude: readonly MemoryCategory[],
    private readonly onClose: () => void,
  ) {
    this.sample();
  }

  get peakBytes(): number {
    return this.#peak;
  }

  sample(): void {
    const excluded = this.exclude.reduce(
      (sum, category) => sum + this.budget.inUseBytesOf(category),
      0,
    );
    this.#peak = Math.max(this.#peak, this.budget.inUseBytes - excluded);
  }

  /** Stops recording and returns the peak in bytes. */
  close(): number {
    this.onClose();
    return this.#peak;
  }
}
