import { LocalImageReader } from '../src/image-reader.js';
import { assertPixelPlan, planPixels } from '../src/pixels.js';
import { expected, fixture, sha256 } from './fixtures.js';

const reader = new LocalImageReader();
const plan = {
  ...{ resize: { width: 4, height: 3 }, crop: { left: 1, top: 1 }, width: 2, height: 2 },
  ...{ flip: false, exifOrientation: true },
};

/** (3, 4, 3), each channel's value its own. */
const image = {
  width: 4,
  height: 3,
  rgb: Uint8Array.from({ length: 36 }, (_, index) => 7 * index),
};

/** The bytes that pixels were made of. */
function bytesOf(pixels: Float32Array): Uint8Array {
  return Uint8Array.from(pixels, (value) => Math.round((value + 1) * 127.5));
}

describe('pixels beside Pillow', () => {
  it('are of enough kinds', () => expect(expected.pixels.length).toBeGreaterThanOrEqual(8));

  it.each(expected.pixels.map((each) => [each.name, each.flip, each] as const))(
    'of %s, mirrored: %s, come of the same bytes',
    async (name, _, { sha256: hash, ...right }) => {
      const input = { kind: 'file', path: fixture(name) } as const;
      const pixels = await reader.pixels(input, { ...right, exifOrientation: true });

      expect(pixels).toHaveLength(right.width * right.height * 3);
      expect(sha256(bytesOf(pixels))).toBe(hash);
    },
  );
});

describe('planPixels', () => {
  const rows = (pixels: Float32Array): number[][] => {
    const reds = [...bytesOf(pixels)].filter((_, index) => index % 3 === 0);
    return [reds.slice(0, 2), reds.slice(2)];
  };

  it('cuts the pixels at the crop, of a mirrored image where it is mirrored', () => {
    expect(rows(planPixels(image, plan))).toEqual([
      [105, 126],
      [189, 210],
    ]);
    const left = { left: 0, top: 1 };
    expect(rows(planPixels(image, { ...plan, crop: left, flip: true }))).toEqual([
      [147, 126],
      [231, 210],
    ]);
  });

  it('is -1 for black and 1 for white, rounded as torchvision does between them', () => {
    const rgb = Uint8Array.from([0, 255, 200]);
    const whole = { resize: { width: 1, height: 1 }, crop: { left: 0, top: 0 } };
    const pixels = planPixels(
      { width: 1, height: 1, rgb },
      { ...plan, ...whole, width: 1, height: 1 },
    );
    const f = Math.fround;

    expect([...pixels]).toEqual([-1, 1, f(f(f(200 / 255) - 0.5) / 0.5)]);
  });

  it('ends where it is not wanted any more', () => {
    const stop = (): never => {
      throw new Error('enough');
    };
    expect(() => planPixels(image, plan, stop)).toThrow('enough');
  });
});

it.each([
  [{ width: 5 }, 'width is 5, a whole number from 1 to 4 is expected'],
  [{ height: 0 }, 'height is 0, a whole number from 1 to 3 is expected'],
  [{ crop: { left: 3, top: 0 } }, 'crop.left is 3, a whole number from 0 to 2 is expected'],
  [{ crop: { left: 0, top: 0.5 } }, 'crop.top is 0.5, a whole number from 0 to 1 is expected'],
  [{ resize: { width: 0, height: 3 } }, 'resize.width is 0, a whole number from 1 to 65535'],
])('refuses a plan with %j', (option, message) => {
  expect(() => assertPixelPlan({ ...plan, ...option })).toThrow(
    expect.objectContaining({
      code: 'IMAGE_INVALID_OPTION',
      message: expect.stringContaining(`pixels: ${message}`) as string,
    }),
  );
});
