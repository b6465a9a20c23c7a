import { at } from '@emloc/checked';

import { ImageError } from './errors.js';
import type { DecodeOptions } from './image-input.js';
import { normalisedValues } from './normalise.js';
import { assertTiling, type Tiling } from './tiling.js';

/** How an image becomes the rows of a vision tower's patch embedding. */
export interface PatchOptions extends Tiling, DecodeOptions {
  /** Side of a patch in pixels; divides `tileSize`. */
  readonly patchSize: number;
  /** Of red, green and blue, as fractions of 255. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** @throws ImageError IMAGE_INVALID_OPTION */
export function assertPatchOptions(options: PatchOptions): void {
  assertTiling(options);
  const { patchSize, tileSize } = options;
  if (!Number.isInteger(patchSize) || patchSize < 1 || tileSize % patchSize !== 0)
    throw invalid(`patchSize is ${patchSize}, a divisor of the tile's ${tileSize} is expected`);
  for (const name of ['mean', 'std'] as const) {
    const values = options[name];
    const isValid = (value: number): boolean =>
      Number.isFinite(value) && (name === 'mean' || value > 0);
    if (values.length !== 3 || !values.every(isValid))
      throw invalid(`${name} is ${values.join(', ')}; 3 numbers are expected`);
  }
}

function invalid(message: string): ImageError {
  return new ImageError('IMAGE_INVALID_OPTION', `patches: ${message}`);
}

/**
 * Tiles cut into patches and normalised.
 * @param tiles (tiles, tileSize, tileSize, 3)
 * @returns (tiles · grid², 3 · patchSize²): patches row-major over their tile, each flattened as
 * (channel, row, column)
 */
export function patchTiles(tiles: Uint8Array, options: PatchOptions): Float32Array {
  const { tileSize, patchSize } = options;
  const grid = tileSize / patchSize;
  const [red, green, blue] = [0, 1, 2].map((channel) =>
    normalisedValues(at(options.mean, channel), at(options.std, channel)),
  );
  if (!red || !green || !blue) throw invalid('three channels are expected');
  const area = patchSize * patchSize;
  const out = new Float32Array(tiles.length);
  let to = 0;
  for (let patch = 0; to < out.length; patch++, to += 2 * area) {
    const tileRow = Math.floor(patch / grid) * patchSize;
    const column = (patch % grid) * patchSize;
    for (let y = 0; y < patchSize; y++) {
      let from = ((tileRow + y) * tileSize + column) * 3;
      for (let x = 0; x < patchSize; x++, from += 3, to++) {
        out[to] = red[tiles[from] as number] as number;
        out[to + area] = green[tiles[from + 1] as number] as number;
        out[to + 2 * area] = blue[tiles[from + 2] as number] as number;
      }
    }
  }
  return out;
}
