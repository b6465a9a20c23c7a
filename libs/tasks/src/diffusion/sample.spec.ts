import type { NoiseSchedule } from '@emloc/models';

import { sample, type SampleOptions, type VelocityQuestion } from './sample.js';

const schedule: NoiseSchedule = { levels: 1000, shift: 1, dynamic: null, shiftTerminal: null };
const size = { height: 4, width: 2 };
/** Two rows of four numbers. */
const limits = { latentChannels: 1, patch: 2 };

function options(overrides: Partial<SampleOptions> = {}): SampleOptions {
  return {
    ...{ schedule, size, limits, steps: 4, guidance: 3.5, negativeScale: null },
    start: { seed: 1 },
    evaluate: ({ latents }) => Promise.resolve(latents.map(() => 0)),
    ...overrides,
  };
}

describe('sampling', () => {
  it('follows the velocity from noise to the image', async () => {
    // The velocity from an image z to noise e is e - z everywhere on the line between them.
    const image = Float32Array.of(1, -2, 3, 0.5, 0, 0, 8, 1);
    const noise = await sample(options());
    const velocity = noise.map((value, index) => value - (image[index] ?? 0));
    const made = await sample(options({ evaluate: () => Promise.resolve(velocity) }));
    made.forEach((value, index) => expect(value).toBeCloseTo(image[index] ?? 0, 5));
  });

  it('is exact for a velocity that depends on the latents: Euler, by hand', async () => {
    const start = { latents: Float32Array.from({ length: 8 }, (_, index) => index) };
    const evaluate = ({ latents, noiseLevel }: VelocityQuestion) =>
      Promise.resolve(latents.map((value) => value * noiseLevel));
    const made = await sample(options({ start, evaluate, steps: 2 }));
    // x (1 - 0.5 · 1), then x (1 - 0.5 · 0.5)
    expect([...made]).toEqual([...start.latents].map((value) => value * 0.5 * 0.75));
    expect(start.latents[1]).toBe(1);
  });

  it('begins with noise that seed and size decide', async () => {
    const [first, again, other] = await Promise.all(
      [1, 1, 2].map((seed) => sample(options({ start: { seed } }))),
    );
    expect(first).toHaveLength(8);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('asks once a step at falling noise levels, and says how far it is', async () => {
    const asked: VelocityQuestion[] = [];
    const progress: [number, number][] = [];
    await sample(
      options({
        evaluate: (question) => {
          asked.push(question);
          return Promise.resolve(new Float32Array(8));
        },
        onProgress: (done, total) => progress.push([done, total]),
      }),
    );
    expect(asked.map(({ noiseLevel }) => noiseLevel)).toEqual([1, 0.75, 0.5, 0.25]);
    expect(asked.map(({ guidance, prompt }) => [guidance, prompt])).toEqual(
      new Array(4).fill([3.5, 'positive']),
    );
    expect(progress).toEqual([1, 2, 3, 4].map((step) => [step, 4]));
  });

  it('goes beyond the velocity of a negative prompt', async () => {
    const start = { latents: new Float32Array(8) };
    const evaluate = ({ prompt }: VelocityQuestion) =>
      Promise.resolve(new Float32Array(8).fill(prompt === 'positive' ? 3 : 1));
    const made = await sample(options({ start, evaluate, steps: 1, negativeScale: 2.5 }));
    // 1 + 2.5 (3 - 1) = 6, over one step of -1
    expect([...made]).toEqual(new Array(8).fill(-6));
  });

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController();
    const onProgress = (done: number): void => {
      if (done === 2) abort.abort(new Error('enough'));
    };
    await expect(sample(options({ onProgress, signal: abort.signal }))).rejects.toThrow('enough');
  });
});
