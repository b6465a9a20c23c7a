import { parseOptions, usage } from './options.js';

describe('parseOptions', () => {
  it('runs on the CPU with all weights unless told otherwise', () => {
    expect(parseOptions(['a', 'b'])).toEqual({
      folders: ['a', 'b'],
      device: 'cpu',
      vramBytes: null,
      json: false,
    });
  });

  it('takes options anywhere', () => {
    expect(parseOptions(['--json', 'a', '--vram', '8MiB', 'b', '--device=cuda'])).toEqual({
      folders: ['a', 'b'],
      device: 'cuda',
      vramBytes: 2 ** 23,
      json: true,
    });
  });

  it.each([
    [[]],
    [['--json']],
    [['a', '--vrma', '1']],
    [['a', '--vram']],
    [['a', '--vram', 'much']],
  ])('tells the usage for %j', (args) => {
    expect(() => parseOptions(args)).toThrow(usage);
  });
});
