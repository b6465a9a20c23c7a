import { readFileSync } from 'node:fs';
import { layoutOf } from '@emloc/models';

import { readableLength, withModality } from './modality.js';

const text = layoutOf(
  JSON.parse(
    readFileSync(
      new URL('../../../../examples/models/tiny-qwen2/config.json', import.meta.url),
      'utf8',
    ),
  ) as Record<string, unknown>,
);
const positions = (maxPositions: number, images = false) => ({
  text: { maxPositions, vocabularySize: 1 },
  images: images ? ({} as NonNullable<typeof text.images>) : null,
});
const nothing = { maxLength: null, alpha: null, learningRate: null };

describe('the length that rows are cut to', () => {
  it.each([
    [null, 4096, 1024],
    [null, 1024, 1024],
    [null, 256, 256],
    [77, 256, 77],
    [256, 256, 256],
    [3000, 4096, 3000],
  ])('is, with %s given and %i positions, %i', (maxLength, maxPositions, expected) => {
    const limits = positions(maxPositions);
    expect(withModality({ ...nothing, maxLength }, limits).maxLength).toBe(expected);
    expect(readableLength(maxLength, limits)).toBe(expected);
  });

  it('is refused for a job where more is asked for than the model has', () => {
    expect(() => withModality({ ...nothing, maxLength: 257 }, positions(256))).toThrow(
      expect.objectContaining({
        code: 'PIPELINE_INVALID_OPTION',
        message: 'option maxLength: 257 given, the model has 256 positions',
      }),
    );
  });

  it('is what the model can read where rows are only scored', () => {
    expect(readableLength(1024, positions(256))).toBe(256);
  });
});

describe('what holds where nothing is said', () => {
  it('is that of the kind of model', () => {
    expect(withModality(nothing, text)).toMatchObject({ alpha: 16, learningRate: 2e-4 });
    expect(withModality(nothing, positions(32_768, true))).toEqual({
      maxLength: 8192,
      alpha: 8,
      learningRate: 4e-5,
    });
  });

  it('never stands above what is said', () => {
    const given = { maxLength: 99, alpha: 3, learningRate: 1 };
    expect(withModality(given, positions(32_768, true))).toEqual(given);
  });
});
