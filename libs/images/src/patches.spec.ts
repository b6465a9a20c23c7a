import { assertPatchOptions, patchTiles } from './patches.js';

const options = {
  tileSize: 4,
  minTiles: 1,
  maxTiles: 6,
  useThumbnail: true,
  exifOrientation: false,
  patchSize: 2,
  mean: [0.5, 0.25, 0.125],
  std: [0.5, 0.25, 2],
};

describe('patchTiles', () => {
  it('has a row a patch, flattened by channel, row and column', () => {
    const tiles = Uint8Array.from({ length: 2 * 4 * 4 * 3 }, (_, index) => (index * 7) % 256);
    const rows = patchTiles(tiles, options);

    expect(rows).toHaveLength(2 * 4 * 12);
    for (let index = 0; index < rows.length; index++) {
      const [patch, place] = [Math.floor(index / 12), index % 12];
      const [channel, y, x] = [Math.floor(place / 4), Math.floor(place / 2) % 2, place % 2];
      const row = Math.floor(patch / 2) * 2 + y;
      const value = tiles[(row * 4 + (patch % 2) * 2 + x) * 3 + channel] ?? NaN;
      const { mean, std } = options;
      expect(rows[index]).toBeCloseTo(
        (value / 255 - (mean[channel] ?? NaN)) / (std[channel] ?? NaN),
        6,
      );
    }
  });

  it('rounds each step to float32', () => {
    const mean = [0.485, 0.456, 0.406];
    const std = [0.229, 0.224, 0.225];
    const rows = patchTiles(new Uint8Array(48).fill(200), { ...options, mean, std });
    const f = Math.fround;
    const right = mean.map((m, c) => f(f(f(200 / 255) - f(m)) / f(std[c] ?? NaN)));

    expect([rows[0], rows[4], rows[8]]).toEqual(right);
  });
});

it.each([
  { patchSize: 3 },
  { patchSize: 0 },
  { mean: [0.5] },
  { mean: [0, 0, NaN] },
  { std: [1, 1, 0] },
  { maxTiles: 0 },
])('refuses patches of %j', (option) => {
  expect(() => assertPatchOptions({ ...options, ...option })).toThrow(
    expect.objectContaining({ code: 'IMAGE_INVALID_OPTION' }),
  );
});
