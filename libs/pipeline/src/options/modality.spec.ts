import { readFileSync } from 'node:fs';
import { layoutOf } from '@emloc/models';

import { assertOptionsOf, readableLength, withModality } from './modality.js';
import { defaultTuneOptions, resolveTuneOptions } from './resolve.js';

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
  diffusion: null,
});
const nothing = defaultTuneOptions;

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

/** Of FLUX: what a kind is known by, and nothing more. */
const pictures = {
  text: null,
  images: null,
  diffusion: {} as NonNullable<typeof text.diffusion>,
};

describe('what holds where nothing is said', () => {
  it('is that of the kind of model', () => {
    expect(withModality(nothing, text)).toMatchObject({ rank: 8, alpha: 16, learningRate: 2e-4 });
    expect(withModality(nothing, positions(32_768, true))).toMatchObject({
      maxLength: 8192,
      alpha: 8,
      learningRate: 4e-5,
    });
    expect(withModality(nothing, pictures)).toMatchObject({
      rank: 4,
      alpha: 4,
      learningRate: 1e-4,
      schedule: 'constant',
      steps: 500,
      batch: 1,
      gradientAccumulation: 4,
      resolution: 512,
    });
  });

  it('is a learning rate of 1 for an optimizer that finds its own', () => {
    for (const limits of [text, pictures])
      expect(withModality({ ...nothing, optimizer: 'prodigy' }, limits).learningRate).toBe(1);
  });

  it('never stands above what is said', () => {
    const given = { maxLength: 99, alpha: 3, learningRate: 1, batch: 2, steps: 7 };
    for (const limits of [positions(32_768, true), pictures])
      expect(withModality({ ...nothing, ...given }, limits)).toMatchObject(given);
  });
});

describe('options of one kind of model', () => {
  const options = (given: object) =>
    resolveTuneOptions({ model: 'm', data: 'd', out: 'o', ...given });

  it.each([
    [{ maxTiles: 3 }, 'pictures', 'option maxTiles: this model makes pictures'],
    [{ strict: true }, 'pictures', 'option strict: this model makes pictures'],
    [{ instancePrompt: 'a dog' }, 'text', 'option instancePrompt: this model writes text'],
    [{ samplePrompts: ['a dog'] }, 'text', 'option samplePrompts: this model writes text'],
  ] as const)('%j is refused for a model of %s', (given, kind, message) => {
    expect(() => assertOptionsOf('tune', options(given), kind)).toThrow(message);
    const other = kind === 'text' ? 'pictures' : 'text';
    expect(() => assertOptionsOf('tune', options(given), other)).not.toThrow();
  });

  it('may be as they are by default', () => {
    for (const kind of ['text', 'pictures'] as const)
      expect(() => assertOptionsOf('tune', options({}), kind)).not.toThrow();
  });
});
