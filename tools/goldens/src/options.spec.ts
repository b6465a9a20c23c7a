import { parseOptions, usage } from './options.js';

describe('parseOptions', () => {
  it('runs on the CPU with all weights unless told otherwise', () => {
    expect(parseOptions(['a', 'b'])).toEqual({
      folders: ['a', 'b'],
      fixtures: null,
      device: 'cpu',
      vramBytes: null,
      json: false,
    });
  });

  it('takes options anywhere', () => {
    expect(parseOptions(['--json', 'a', '--vram', '8MiB', 'b', '--device=cuda'])).toEqual({
      folders: ['a', 'b'],
      fixtures: null,
      device: 'cuda',
      vramBytes: 2 ** 23,
      json: true,
    });
  });

  it('takes a folder of fixtures, with names or without', () => {
    expect(parseOptions(['--fixtures', 'dir'])).toMatchObject({ fixtures: 'dir', folders: [] });
    expect(parseOptions(['--fixtures', 'dir', 'phi3'])).toMatchObject({
      fixtures: 'dir',
      folders: ['phi3'],
    });
  });

  it.each([
    [[]],
    [['--fixtures']],
    [['--json']],
    [['a', '--vrma', '1']],
    [['a', '--vram']],
    [['a', '--vram', 'much']],
  ])('tells the usage for %j', (args) => {
    expect(() => parseOptions(args)).toThrow(usage);
  });
});
