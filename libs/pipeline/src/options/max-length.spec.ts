import { maxLengthOf, readableLength } from './max-length.js';

const positions = (maxPositions: number) => ({ maxPositions, vocabularySize: 1 });

describe('the length that rows are cut to', () => {
  it.each([
    [null, 4096, 1024],
    [null, 1024, 1024],
    [null, 256, 256],
    [77, 256, 77],
    [256, 256, 256],
    [3000, 4096, 3000],
  ])('is, with %s given and %i positions, %i', (given, maxPositions, expected) => {
    expect(maxLengthOf(given, positions(maxPositions))).toBe(expected);
    expect(readableLength(given, positions(maxPositions))).toBe(expected);
  });

  it('is refused for a job where more is asked for than the model has', () => {
    expect(() => maxLengthOf(257, positions(256))).toThrow(
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
