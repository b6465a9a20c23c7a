import { bucketsOf, bucketStep, fitBucket, fitSquare } from './buckets.js';

const sizes: [number, number][] = [
  [1, 1],
  [4000, 3000],
  [3000, 4000],
  [1024, 1024],
  [512, 512],
  [700, 511],
  [1280, 720],
  [333, 5000],
  [5000, 333],
  [150, 149],
  [129, 128],
  [2000, 128],
];
const resolutions = [16, 32, 48, 64, 128, 192, 256, 400, 512, 528, 768, 1024];

describe('fitSquare', () => {
  it.each([
    [640, 480, 682, 512],
    [480, 640, 512, 682],
    [4032, 3024, 682, 512],
    [300, 300, 512, 512],
    [100, 333, 512, 1704],
    [513, 512, 513, 512],
  ])('resizes the shorter side of %d x %d: to %d x %d', (width, height, ...resized) => {
    const { resize, target } = fitSquare({ width, height }, 512);

    expect([resize.width, resize.height]).toEqual(resized);
    expect(target).toEqual({ width: 512, height: 512 });
  });
});

describe('bucketsOf', () => {
  it('has the sizes at 512 that other trainers have', () => {
    const named = bucketsOf(512, 64).map(({ width, height }) => `${width}x${height}`);
    const right = ['256x1024', '256x960', '256x896', '256x832', '320x768', '320x704'].concat([
      '384x640',
      '448x576',
      '512x512',
    ]);
    const turned = right.map((name) => name.split('x').reverse().join('x'));

    expect([...new Set(named)].sort()).toEqual([...new Set([...right, ...turned])].sort());
  });

  it.each(resolutions)('keeps the area at %d, with sides of 16', (resolution) => {
    const step = bucketStep(resolution);
    const buckets = bucketsOf(resolution, step);

    expect(resolution % step).toBe(0);
    expect(buckets).toContainEqual({ width: resolution, height: resolution });
    for (const { width, height } of buckets) {
      expect([width % 16, height % 16]).toEqual([0, 0]);
      expect(width * height).toBeLessThanOrEqual(resolution ** 2);
      expect((width + step) * (height + step)).toBeGreaterThan(resolution ** 2);
    }
  });
});

test.each([
  [512, 64],
  [1024, 64],
  [256, 64],
  [528, 16],
  [544, 32],
  [128, 32],
  [64, 16],
  [16, 16],
])('sides at %d are multiples of %d', (resolution, step) => {
  expect(bucketStep(resolution)).toBe(step);
});

describe('fitBucket', () => {
  it.each(resolutions)('never enlarges, and covers what is cut out, at %d', (resolution) => {
    const step = bucketStep(resolution);
    const large = sizes.filter(([width, height]) => Math.min(width, height) >= step);
    expect(large.length).toBeGreaterThan(3);
    for (const [width, height] of large) {
      const { resize, target } = fitBucket({ width, height }, resolution);
      expect(resize.width).toBeLessThanOrEqual(width);
      expect(resize.height).toBeLessThanOrEqual(height);
      expect(resize.width).toBeGreaterThanOrEqual(target.width);
      expect(resize.height).toBeGreaterThanOrEqual(target.height);
      expect([resize.width, resize.height]).toContain(
        resize.width === target.width ? target.width : target.height,
      );
    }
  });

  it.each([
    [4000, 3000, 576, 448, 597, 448],
    [3000, 4000, 448, 576, 448, 597],
    [1920, 1080, 640, 384, 683, 384],
    [9000, 1000, 1024, 256, 2304, 256],
    [600, 400, 512, 384, 576, 384],
    [130, 130, 128, 128, 128, 128],
  ])('takes of %d x %d what loses least: %d x %d', (width, height, ...right) => {
    const { resize, target } = fitBucket({ width, height }, 512);

    expect([target.width, target.height, resize.width, resize.height]).toEqual(right);
  });

  it('treats a picture and the same one turned alike', () => {
    for (const [width, height] of sizes.slice(1)) {
      const { target } = fitBucket({ width, height }, 512);
      const { target: turned } = fitBucket({ width: height, height: width }, 512);
      expect(turned).toEqual({ width: target.height, height: target.width });
    }
  });
});
