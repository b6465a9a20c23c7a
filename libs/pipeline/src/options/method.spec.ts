import { isUndecided } from './method.js';
import { resolveTuneOptions } from './resolve.js';

const paths = { model: 'm', data: 'd', out: 'o' };

const resolve = (given: Partial<Parameters<typeof resolveTuneOptions>[0]>) =>
  resolveTuneOptions({ ...paths, ...given });

describe('a method', () => {
  it.each([
    ['paged', 'ratios', { ratios: ['0.5'] }],
    ['paged', 'ratios', { ratios: ['.*q_proj=0.4'] }],
    ['resident', 'levels', { levels: '0.25:1,1:1' }],
    ['resident', 'refineSteps', { refineSteps: 0 }],
    ['auto', 'ratios', { ratios: ['.*q_proj=0.4', '0.5'] }],
    ['auto', 'levels', { levels: '0.25:1,1:1' }],
    ['auto', 'refineSteps', { refineSteps: 3 }],
  ] as const)('%s excludes option %s', (method, name, other) => {
    expect(() => resolve(other)).not.toThrow();
    expect(() => resolve({ ...other, method })).toThrow(
      expect.objectContaining({
        code: 'PIPELINE_INVALID_OPTION',
        message: expect.stringMatching(new RegExp(`^option ${name}: .*method ${method}`)),
      }),
    );
  });

  it('is left to a plan where it is auto, or an emulator of which nothing is said', () => {
    const steps = { steps: 3 };
    expect(isUndecided(resolve({ method: 'auto', ...steps }))).toBe(true);
    expect(isUndecided(resolve({ method: 'emulator' }))).toBe(true);
    expect(isUndecided(resolve({ method: 'emulator', ratios: ['.*q_proj=0.4'] }))).toBe(true);
    for (const given of [steps, { epochs: 1 }, { ratios: ['0.5'] }, { refineSteps: 0 }])
      expect(isUndecided(resolve({ method: 'emulator', ...given }))).toBe(false);
    expect(isUndecided(resolve({ method: 'emulator', levels: '0.25:1,1:1' }))).toBe(false);
    expect(isUndecided(resolve({}))).toBe(false);
    expect(isUndecided(resolve({ method: 'paged' }))).toBe(false);
  });
});
