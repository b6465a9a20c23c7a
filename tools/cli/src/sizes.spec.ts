import { parseSize } from './sizes.js';

describe('parseSize', () => {
  it.each([
    ['1', 1],
    ['1048576', 1048576],
    ['2GiB', 2 ** 31],
    ['1.5 MiB', 1572864],
    ['500MB', 5e8],
    ['16gib', 2 ** 34],
    ['1TB', 1e12],
    ['1PiB', 2 ** 50],
    ['0.5 pb', 5e14],
    [' 3 KiB ', 3072],
    ['1.7B', 1],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'GiB', '-1GiB', '0', '0.2B', '1e9', '12 elephants', '1,5GiB', 'NaN', '99999999TiB'])(
    'refuses %j',
    (text) => {
      expect(() => parseSize(text)).toThrow(
        expect.objectContaining({
          code: 'CLI_USAGE',
          message: expect.stringContaining(JSON.stringify(text)),
        }),
      );
    },
  );
});
