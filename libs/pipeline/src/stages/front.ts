import { join } from 'node:path';
import { runFront, type FrontStore } from '@emloc/finetune';
import { pagesSource, type RowSource } from '@emloc/models';
import { patchRows, PatchValues } from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import { TileStore } from '../disk/tile-store.js';
import { openModelPager, type ImageAccess } from '../job/environment.js';
import {
  bringing,
  frontBytes,
  frontedTiles,
  plannedTiles,
  rowUses,
  tilesOf,
  type ImageFront,
  type JobImages,
  type RowUse,
} from '../job/images.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';

/**
 * The run with rows that bring their images. What the front makes of the tiles is made first, where
 * it is not there yet.
 * @param uses of the rows that are read; default: those of all stages
 */
export async function bringImages(run: JobRun, uses: readonly RowUse[] = rowUses): Promise<JobRun> {
  const { job, environment } = run;
  const { images } = job;
  if (!images) return run;
  const tiles = images.front
    ? await fronted(run, { images, front: images.front, tiles: tilesOf(job, uses) })
    : patches(run, images, 0);
  return { job: bringing(job, tiles), environment };
}

/** Images that are made while one is used, in the order of their tiles. */
const imagesAhead = 4;

interface Fronted {
  readonly images: JobImages;
  readonly front: ImageFront;
  readonly tiles: readonly number[];
}

async function fronted(run: JobRun, { images, front, tiles }: Fronted): Promise<RowSource> {
  const access = run.environment.images;
  const store = access && openStore(run, { images, front, access });
  const missing = store ? await store.missing(tiles) : tiles;
  if (missing.length > 0)
    await make(run, { images, front, tiles: missing, store: store ?? nowhere });
  return store
    ? frontedTiles(images.limits, front, store)
    : plannedTiles(images, run.environment.device.profile.computeDType);
}

const nowhere: FrontStore = { put: () => Promise.resolve() };

function openStore(
  { job, environment }: JobRun,
  {
    images: { limits, set, exifOrientation },
    front,
    access: { folder, onImage },
  }: Omit<Fronted, 'tiles'> & { readonly access: ImageAccess },
): TileStore {
  const dtype = environment.device.profile.computeDType;
  return new TileStore({
    folder: join(folder, 'images'),
    set,
    making: JSON.stringify([job.id, exifOrientation]),
    dtype,
    bytesPerTile: frontBytes(limits, front, dtype),
    onImage,
  });
}

async function make(
  run: JobRun,
  { images, front, tiles, store }: Fronted & { readonly store: FrontStore },
): Promise<void> {
  const { job, environment } = run;
  const { layout } = job.whole;
  using _stage = environment.clock.during('front');
  environment.clock.enter('front');
  await using pager = openModelPager(environment, frontSource(job), 'front');
  await runFront({
    model: { device: environment.device, layout, pager },
    blocks: front.blocks,
    source: patches(run, images, imagesAhead),
    rows: tiles,
    store,
    onProgress: (done, total) =>
      environment.observer({ type: 'progress', stage: 'front', task: 'images', done, total }),
    signal: environment.signal,
  });
}

/** The pages of what runs once a tile. */
export function frontSource({ whole, images }: Job): LayerSource {
  const count = images?.front?.pages ?? 0;
  return pagesSource(
    whole.source,
    Array.from({ length: count }, (_, page) => page),
  );
}

/** Tiles as their patches. */
function patches({ environment }: JobRun, images: JobImages, ahead: number): RowSource {
  const { images: access, signal } = environment;
  if (!access) return plannedTiles({ ...images, front: null }, 'float32');
  const { limits, set, exifOrientation } = images;
  const { reader } = access;
  return patchRows(
    limits,
    new PatchValues({ limits, set, exifOrientation, reader, ahead, signal }),
  );
}
