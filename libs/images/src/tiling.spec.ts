import { tileCount, tileGrid } from './tiling.js';

/** The published rule, word by word: every grid, in order of its area, the last tie that fills. */
function published(
  { width, height }: { width: number; height: number },
  { least, most, side }: { least: number; most: number; side: number },
): [number, number] {
  const grids = Array.from({ length: most * most }, (_, index) => [
    Math.floor(index / most) + 1,
    (index % most) + 1,
  ])
    .map(([w = 0, h = 0]) => [w, h] as [number, number])
    .filter(([w, h]) => w * h >= least && w * h <= most)
    .sort((a, b) => a[0] * a[1] - b[0] * b[1]);
  let [best, difference]: [[number, number], number] = [[1, 1], Infinity];
  for (const grid of grids) {
    const mine = Math.abs(width / height - grid[0] / grid[1]);
    if (mine < difference) [best, difference] = [grid, mine];
    else if (mine === difference && width * height > 0.5 * side * side * grid[0] * grid[1])
      best = grid;
  }
  return best;
}

describe('tileGrid', () => {
  it.each([
    [1, 6],
    [1, 12],
    [2, 6],
    [4, 12],
    [1, 40],
  ])('is the published grid for %d to %d tiles of every size', (least, most) => {
    const tiling = { tileSize: 448, minTiles: least, maxTiles: most, useThumbnail: true };
    const wrong: string[] = [];
    for (let width = 1; width <= 3000; width += 37)
      for (let height = 1; height <= 3000; height += 31) {
        const { columns, rows } = tileGrid({ width, height }, tiling);
        const [w, h] = published({ width, height }, { least, most, side: 448 });
        if (columns !== w || rows !== h) wrong.push(`${width} x ${height}`);
      }
    expect(wrong).toEqual([]);
  });

  it.each([
    [448, 448, 1, 1],
    [896, 896, 2, 2],
    [600, 600, 1, 1],
    [634, 634, 2, 2],
    [1, 20_000, 1, 6],
    [20_000, 1, 6, 1],
    [1344, 896, 3, 2],
  ])('of %d x %d is %d x %d, a tie going to what is filled by half', (width, height, ...grid) => {
    const tiling = { tileSize: 448, minTiles: 1, maxTiles: 6, useThumbnail: true };
    const { columns, rows } = tileGrid({ width, height }, tiling);

    expect([columns, rows]).toEqual(grid);
  });

  it.each([
    { tileSize: 0 },
    { maxTiles: 0 },
    { maxTiles: 1.5 },
    { minTiles: 7 },
    { maxTiles: 100_000 },
    { tileSize: NaN },
  ])('refuses %j', (option) => {
    const tiling = { tileSize: 448, minTiles: 1, maxTiles: 6, useThumbnail: true, ...option };

    expect(() => tileGrid({ width: 5, height: 5 }, tiling)).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID_OPTION' }),
    );
  });
});

describe('tileCount', () => {
  const size = { width: 1344, height: 896 };
  const tiling = { tileSize: 448, minTiles: 1, maxTiles: 6 };

  it('has the thumbnail where there are several tiles and it is wanted', () => {
    expect(tileCount(size, { ...tiling, useThumbnail: true })).toBe(7);
    expect(tileCount(size, { ...tiling, useThumbnail: false })).toBe(6);
    expect(tileCount({ width: 9, height: 9 }, { ...tiling, useThumbnail: true })).toBe(1);
  });
});
