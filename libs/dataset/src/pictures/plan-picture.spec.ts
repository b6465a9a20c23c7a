import { defaultSizes } from './picture-options.js';
import { croppedShare, isEnlarged, planPicture, sizeProblem } from './plan-picture.js';

const size = { width: 1000, height: 700 };
const named = { seed: 3, name: 'a.png' };
const random = { ...defaultSizes, crop: 'random', flip: true } as const;
const many = Array.from({ length: 400 }, (_, index) => ({ seed: 3, name: `${index}.png` }));

describe('planPicture', () => {
  it.each([
    [513, 0],
    [514, 1],
    [515, 2],
    [517, 2],
    [519, 4],
  ])('cuts the middle of %d pixels at %d, halves rounded as Python does', (width, left) => {
    expect(planPicture({ width, height: 512 }, defaultSizes, named)).toEqual({
      width: 512,
      height: 512,
      resize: { width, height: 512 },
      crop: { left, top: 0 },
      flip: false,
      exifOrientation: true,
    });
  });

  it('is decided by the seed and the name of the picture alone', () => {
    const plan = planPicture(size, random, named);

    expect(planPicture(size, random, { ...named })).toEqual(plan);
    expect(planPicture(size, random, { seed: 4, name: 'a.png' })).not.toEqual(plan);
    expect(planPicture(size, random, { seed: 3, name: 'b.png' })).not.toEqual(plan);
    const { crop } = planPicture(size, { ...random, flip: false }, named);
    expect(crop).toEqual(plan.crop);
  });

  it('mirrors about half of them, and cuts at every place from one end to the other', () => {
    const plans = many.map((each) => planPicture({ width: 520, height: 512 }, random, each));
    const flipped = plans.filter(({ flip }) => flip).length;
    const places = new Set(plans.map(({ crop }) => crop.left));

    expect(flipped).toBeGreaterThan(150);
    expect(flipped).toBeLessThan(250);
    expect([...places].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(plans.every(({ crop }) => crop.top === 0)).toBe(true);
  });

  it('cuts buckets in place of squares', () => {
    const plan = planPicture(size, { ...defaultSizes, buckets: true }, named);

    expect(plan).toMatchObject({ width: 576, height: 448, resize: { width: 640, height: 448 } });
    expect(plan.crop).toEqual({ left: 32, top: 0 });
    expect(croppedShare(plan)).toBeCloseTo(0.1, 12);
  });
});

it('tells what is enlarged', () => {
  const enlarged = (width: number): boolean =>
    isEnlarged({ width, height: 512 }, planPicture({ width, height: 512 }, defaultSizes, named));

  expect([enlarged(512), enlarged(511), enlarged(900)]).toEqual([false, true, false]);
});

it.each([
  [128, 128, null],
  [
    127,
    900,
    'is too small: 127 x 900 pixels; at a resolution of 512 the shorter side must have at least 128',
  ],
  [1024, 128, null],
  [
    1025,
    128,
    'is too narrow: 1025 x 128 pixels; the longer side may be at most 8 times the shorter one',
  ],
])('of %d x %d says: %s', (width, height, reason) => {
  const options = { resolution: 512, buckets: false };

  expect(sizeProblem({ width, height }, options)).toBe(reason);
  expect(sizeProblem({ width: height, height: width }, options) === null).toBe(reason === null);
});

it('wants a step of buckets of every picture', () => {
  const of = (buckets: boolean): string | null =>
    sizeProblem({ width: 15, height: 15 }, { resolution: 32, buckets });

  expect(of(false)).toBeNull();
  expect(of(true)).toContain('at least 16');
});
