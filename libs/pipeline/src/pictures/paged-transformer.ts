import type { LoraAdapter } from '@emloc/checkpoint';
import type { Device } from '@emloc/device';
import { DeviceAdapter, type PagedModel } from '@emloc/finetune';
import { openPager, type Pager, type PagerObserver } from '@emloc/weight-pager';

import { affordableHostBytes } from '../job/environment.js';
import type { Rehearsal } from './picture-memory.js';
import type { PictureModel } from './picture-model.js';

export interface PagingHost {
  readonly device: Device;
  /** What weights may take there. */
  readonly pagerBytes: number;
  readonly hostBytes: number;
  readonly prefetch: boolean;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
}

type Behind = Pick<PictureModel, 'model' | 'adapter'>;

/** Runs the transformer behind its front, with its adapter, within a share of the budget. */
export async function withTransformer<T>(
  behind: Behind,
  { device, pagerBytes, hostBytes, prefetch, pagerObserver, signal }: PagingHost,
  use: (model: PagedModel, adapter: DeviceAdapter | null) => Promise<T>,
): Promise<T> {
  const { source } = behind.model;
  const openTransformer = (): Pager =>
    openPager({
      ...{ device, source, prefetch, signal, observer: pagerObserver },
      deviceBytes: pagerBytes,
      hostBytes: Number.isFinite(hostBytes) ? hostBytes : affordableHostBytes(source),
    });
  return await used(behind, { device, openPager: openTransformer }, use);
}

/** The same on a null device. */
export async function rehearseTransformer<T>(
  behind: Behind,
  rehearsal: Rehearsal,
  use: (model: PagedModel, adapter: DeviceAdapter | null) => Promise<T>,
): Promise<T> {
  return await used(behind, rehearsal, use);
}

async function used<T>(
  {
    model: { layout, source },
    adapter,
  }: { model: PictureModel['model']; adapter: LoraAdapter | null },
  { device, openPager: open }: Rehearsal,
  use: (model: PagedModel, adapter: DeviceAdapter | null) => Promise<T>,
): Promise<T> {
  await using pager = open(source);
  using loaded = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  return await use({ device, layout, pager }, loaded);
}
