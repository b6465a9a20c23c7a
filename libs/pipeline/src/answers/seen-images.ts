import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Device, formatBytes, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { LocalImageReader, type ImageReader } from '@emloc/images';
import type { RowSource } from '@emloc/models';
import { minimumDeviceBytes, openPager, type LayerSource, type Pager } from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';
import type { JobImages } from '../job/images.js';
import type { Job } from '../job/job.js';
import { tilesFor } from '../stages/front.js';

/** Images of rows that are looked at once. */
interface Looked extends Pick<Job, 'whole'> {
  readonly images: JobImages;
}

export interface LookingHost {
  readonly device: Device;
  readonly hostBytes: number;
  /** Makes what decodes images. Default: one in this thread, which is busy meanwhile. */
  readonly openImages?: () => ImageReader;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What rows bring of their images, until it is disposed. */
export interface SeenImages extends AsyncDisposable {
  readonly tiles: RowSource;
}

/** Looks at images; what is made of them is in a temporary folder. */
export async function seeImages(
  { whole, images }: Looked,
  { device, hostBytes, onProgress, signal, openImages = openLocal }: LookingHost,
): Promise<SeenImages> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-images-'));
  const reader = openImages();
  const close = async (): Promise<void> => {
    await reader[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const tiles = await tilesFor(
      { whole, images, tiles: allTiles(images) },
      {
        ...{ device, access: { reader, folder }, onProgress, signal },
        openPager: (source) => leastPager(device, source, { hostBytes, signal }),
      },
    );
    return { tiles, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function openLocal(): ImageReader {
  return new LocalImageReader();
}

function allTiles({ set }: JobImages): readonly number[] {
  return Array.from({ length: set.tiles }, (_, tile) => tile);
}

function leastPager(
  device: Device,
  source: LayerSource,
  options: {
    readonly hostBytes: number;
    readonly reads?: 'none';
    readonly signal?: AbortSignal;
  },
): Pager {
  return openPager({ device, source, deviceBytes: minimumDeviceBytes(source, device), ...options });
}

/**
 * Checks that images can be looked at.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
export async function assertImagesFit(
  looked: Looked,
  profile: DeviceProfile,
  budgetBytes: number,
): Promise<void> {
  const peakBytes = await imagePeakBytes(looked, profile);
  if (peakBytes <= budgetBytes) return;
  throw new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `images do not fit into ${formatBytes(budgetBytes)}: what runs once an image needs at least ${formatBytes(peakBytes)}`,
  );
}

/** Device memory that looking at images takes; 0 where nothing runs once an image. */
export async function imagePeakBytes(
  { whole, images }: Looked,
  profile: DeviceProfile,
): Promise<number> {
  if (!images.front || images.set.tiles === 0) return 0;
  await using device = new Device(
    createNullBackend(profile),
    new MemoryBudget(Number.POSITIVE_INFINITY),
  );
  await tilesFor(
    { whole, images, tiles: [0] },
    {
      ...{ device, access: null },
      openPager: (source) =>
        leastPager(device, source, { hostBytes: Number.POSITIVE_INFINITY, reads: 'none' }),
    },
  );
  return device.budget.peakBytes;
}
