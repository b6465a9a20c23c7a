import { parseOptions, usage } from './options.js';

describe('parseOptions', () => {
  it('runs on the CPU with all weights unless told otherwise', () => {
    expect(parseOptions(['a', 'b'])).toEqual({
      folders: ['a', 'b'],
      device: 'cpu',
      vram: undefined,
      json: false,
    });
  });

  it('takes options anywhere', () => {
    expect(parseOptions(['--json', 'a', '--vram', '8MiB', 'b', '--device=cuda'])).toEqual({
      folders: ['a', 'b'],
      device: 'cuda',
      vram: '8MiB',
      json: true,
    });
  });

  it.each([[[]], [['--json']], [['a', '--vrma', '1']], [['a', '--vram']]])(
    'tells the usage for %j',
    (args) => {
      expect(() => parseOptions(args)).toThrow(usage);
    },
  );
});
