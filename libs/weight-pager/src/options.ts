import { at } from '@emloc/checked';
import { formatBytes, type Device, type MemoryCategory } from '@emloc/device';

import { PagerError } from './errors.js';
import { deviceBytes, hostLayout, type LayerSource } from './source.js';
import type { PagerObserver } from './statistics.js';

export interface PagerOptions {
  readonly device: Device;
  readonly source: LayerSource;
  /**
   * Most that layers take on the device. `minimumDeviceBytes` lets the next layer arrive while one
   * computes.
   */
  readonly deviceBytes: number;
  /**
   * Most that layers take in page-locked host memory: at least the largest layer as stored;
   * Infinity keeps what it can use.
   */
  readonly hostBytes: number;
  /**
   * Copy ahead of the accesses of the schedule. Decides when bytes move, not what is where. Default
   * true.
   */
  readonly prefetch?: boolean;
  /** What its reservations are booked as. Default 'weights'. */
  readonly category?: MemoryCategory;
  readonly observer?: PagerObserver;
  /** none: zeros in place of weights, for planning on a null device. Default 'real'. */
  readonly reads?: 'real' | 'none';
  readonly signal?: AbortSignal;
}

/** @throws PagerError PAGER_INVALID_OPTIONS */
export function assertOptions(options: PagerOptions): void {
  for (const name of ['deviceBytes', 'hostBytes'] as const) {
    const bytes = options[name];
    if (!(bytes > 0))
      throw new PagerError(
        'PAGER_INVALID_OPTIONS',
        `pager: ${name} must be a positive number of bytes, not ${bytes}`,
      );
  }
}

/** Layers that can never be where they have to be. */
export class LayerLimits {
  readonly deviceBytes: readonly number[];
  readonly #refusals: readonly (string | null)[];

  constructor(private readonly options: PagerOptions) {
    this.deviceBytes = options.source.layers.map((layer) => deviceBytes(layer, options.device));
    const host = options.reads === 'none' ? Number.POSITIVE_INFINITY : options.hostBytes;
    this.#refusals = options.source.layers.map(
      (layer, index) =>
        refusal(at(this.deviceBytes, index), options.deviceBytes, 'on the device') ??
        refusal(hostLayout(layer).bytes, host, 'in host memory'),
    );
  }

  /** @throws PagerError PAGER_OUT_OF_BUDGET */
  assertFits(layer: number): void {
    const refused = this.#refusals[layer];
    if (!refused) return;
    throw new PagerError(
      'PAGER_OUT_OF_BUDGET',
      `pager: layer ${layer} (${at(this.options.source.layers, layer).name}) needs ${refused}`,
    );
  }
}

function refusal(bytes: number, limitBytes: number, where: string): string | null {
  return bytes > limitBytes
    ? `${formatBytes(bytes)} ${where}, the limit is ${formatBytes(limitBytes)}`
    : null;
}
