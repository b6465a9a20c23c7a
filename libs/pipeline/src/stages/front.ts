import { join } from 'node:path';
import type { Device } from '@emloc/device';
import { runFront, type FrontStore } from '@emloc/finetune';
import { pagesSource, type Model, type RowSource } from '@emloc/models';
import { patchRows, PatchValues } from '@emloc/tasks';
import type { LayerSource, Pager } from '@emloc/weight-pager';

import { TileStore } from '../disk/tile-store.js';
import type { ImageAccess } from '../job/environment.js';
import {
  frontBytes,
  frontedTiles,
  plannedTiles,
  type ImageFront,
  type JobImages,
} from '../job/images.js';

/** What images are looked at with. */
export interface ImageHost {
  readonly device: Device;
  /** null: on a null device, where no image is needed. */
  readonly access: ImageAccess | null;
  openPager(source: LayerSource): Pager;
  /** Called before anything is made; what it returns is disposed afterwards. */
  readonly begin?: () => Disposable;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

interface Wanted {
  readonly whole: Model;
  readonly images: JobImages;
  /** Those that rows will bring. */
  readonly tiles: readonly number[];
}

/** What rows bring of their images' tiles, made now as far as it is made once. */
export async function tilesFor(wanted: Wanted, host: ImageHost): Promise<RowSource> {
  const { images } = wanted;
  const { front } = images;
  if (!front) return patches(images, host, 0);
  const { computeDType } = host.device.profile;
  const store = host.access && openStore({ images, front, access: host.access }, host.device);
  const missing = store ? await store.missing(wanted.tiles) : wanted.tiles;
  if (missing.length > 0)
    await make({ ...wanted, front, tiles: missing, store: store ?? nowhere }, host);
  return store ? frontedTiles(images.limits, front, store) : plannedTiles(images, computeDType);
}

const nowhere: FrontStore = { put: () => Promise.resolve() };

function openStore(
  {
    images: { limits, set, exifOrientation },
    front,
    access: { folder, onImage },
  }: Pick<Wanted, 'images'> & { readonly front: ImageFront; readonly access: ImageAccess },
  { profile: { computeDType: dtype } }: Device,
): TileStore {
  return new TileStore({
    ...{ folder: join(folder, 'images'), set, exifOrientation, dtype, onImage },
    bytesPerTile: frontBytes(limits, front, dtype),
  });
}

/** Images that are made while one is used, in the order of their tiles. */
const imagesAhead = 4;

async function make(
  {
    whole,
    images,
    front,
    tiles,
    store,
  }: Wanted & { readonly front: ImageFront; readonly store: FrontStore },
  host: ImageHost,
): Promise<void> {
  const { device, begin, onProgress, signal } = host;
  using _begun = begin?.();
  await using pager = host.openPager(frontSource({ whole, images }));
  await runFront({
    model: { device, layout: whole.layout, pager },
    blocks: front.blocks,
    source: patches(images, host, imagesAhead),
    rows: tiles,
    ...{ store, onProgress, signal },
  });
}

/** The pages of what runs once a tile. */
export function frontSource({ whole, images }: Pick<Wanted, 'whole' | 'images'>): LayerSource {
  const count = images.front?.pages ?? 0;
  return pagesSource(
    whole.source,
    Array.from({ length: count }, (_, page) => page),
  );
}

/** Tiles as their patches. */
function patches(
  images: JobImages,
  { access, signal }: Pick<ImageHost, 'access' | 'signal'>,
  ahead: number,
): RowSource {
  if (!access) return plannedTiles({ ...images, front: null }, 'float32');
  const { limits, set, exifOrientation } = images;
  const { reader } = access;
  return patchRows(
    limits,
    new PatchValues({ limits, set, exifOrientation, reader, ahead, signal }),
  );
}
