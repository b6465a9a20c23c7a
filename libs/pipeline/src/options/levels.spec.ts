import { dividedLevels, endsOnOriginal, parseLevels, stepsOf } from './levels.js';
import { resolveTuneOptions } from './resolve.js';

const paths = { model: 'm', data: 'd', out: 'o' };

describe('levels', () => {
  it('are ratios with steps and, where they have one, a batch of their own', () => {
    const levels = parseLevels('levels', '0.25:200, .5:60,1:30x64');
    expect(levels).toEqual([
      { ratio: 0.25, steps: 200, batch: null },
      { ratio: 0.5, steps: 60, batch: null },
      { ratio: 1, steps: 30, batch: 64 },
    ]);
    expect(stepsOf(levels)).toBe(290);
    expect(dividedLevels(levels)).toEqual({
      emulated: levels.slice(0, 2),
      original: levels.at(2),
    });
    expect(['0.1:1', '0.1:1,1:1'].map(endsOnOriginal)).toEqual([false, true]);
  });

  it.each([
    ['no form', '0.25'],
    ['no steps', '0.25:'],
    ['0 steps', '0.25:0'],
    ['a ratio of 0', '0:3'],
    ['a ratio above 1', '0.5:3,1.5:3'],
    ['ratios that fall', '0.5:3,0.25:3'],
    ['equal ratios', '0.5:3,0.5:3'],
    ['the original first', '1:30'],
    ['a batch of 0', '0.5:3x0'],
    ['nothing between commas', '0.5:3,,1:3'],
    ['more steps than a run may have', '0.5:9999999,1:2'],
    ['a number that is none', '0.5:3e3'],
  ])('are refused with %s', (_name, levels) => {
    expect(() => resolveTuneOptions({ ...paths, levels })).toThrow(
      expect.objectContaining({
        code: 'PIPELINE_INVALID_OPTION',
        message: expect.stringContaining('option levels:'),
      }),
    );
  });

  it.each([
    ['ratios', { ratios: ['.*q_proj=0.25', '0.4'] }],
    ['ratios', { ratios: ['0.5'] }],
    ['steps', { steps: 3 }],
    ['epochs', { epochs: 2 }],
    ['epochs', { epochs: 1 }],
    ['refineSteps', { refineSteps: 0 }],
  ])('exclude option %s', (name, other) => {
    expect(() => resolveTuneOptions({ ...paths, ...other })).not.toThrow();
    expect(() => resolveTuneOptions({ ...paths, ...other, levels: '0.5:3,1:1' })).toThrow(
      `option ${name}:`,
    );
  });

  it('go with ratios of patterns', () => {
    const options = { ...paths, ratios: ['.*q_proj=0.25'], levels: '0.5:3' };
    expect(resolveTuneOptions(options)).toMatchObject(options);
  });
});
