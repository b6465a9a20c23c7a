import type { LoraAdapter } from '@emloc/checkpoint';
import {
  defaultAdamw,
  defaultProdigy,
  initialAdapter,
  train,
  type TrainingState,
  type TrainResult,
} from '@emloc/finetune';

import { fullRow, openFixture, type FixtureOptions } from '../../test/fixtures.js';
import { TextRows } from './text-rows.js';

type TrainOptions = Parameters<typeof train>[0];

const rows = Array.from({ length: 6 }, (_, row) =>
  fullRow(Array.from({ length: 5 + 3 * row }, (_, index) => (row * 31 + index * 17 + 3) % 2048)),
);
const batches = [[[0, 1], [2]], [[3, 4]], [[5, 0]], [[1, 2], [3]], [[4]]];

/**
 * Trains with rank 4 unless told otherwise; the fixture checks that nothing is left on the device.
 */
async function run(
  overrides: Partial<TrainOptions> = {},
  { rank = 4, ...fixtureOptions }: FixtureOptions & { rank?: number } = {},
): Promise<TrainResult> {
  const fixture = await openFixture('tiny-qwen2', fixtureOptions);
  try {
    return await train({
      model: fixture.paged,
      rows: new TextRows(rows),
      batches,
      optimizer: defaultAdamw,
      keptBlocks: 0,
      adapter: initialAdapter(
        fixture.model.layout,
        { rank, alpha: 8, useRslora: false, targets: null },
        3,
      ),
      schedule: { kind: 'cosine', learningRate: 1e-2, steps: batches.length, warmupRatio: 0 },
      ...overrides,
    });
  } finally {
    await fixture.close();
  }
}

/** The states that a run saves; aborted after so many steps, where told. */
async function statesOf(
  everySteps: number,
  abortAfter?: number,
  overrides: Partial<TrainOptions> = {},
): Promise<readonly TrainingState[]> {
  const states: TrainingState[] = [];
  const abort = new AbortController();
  const save = (state: TrainingState): Promise<void> => Promise.resolve(void states.push(state));
  const onStep = ({ step }: { step: number }): void => {
    if (step === abortAfter) abort.abort(new Error('enough'));
  };
  const running = run({
    ...{ checkpoint: { everySteps, save }, onStep, signal: abort.signal },
    ...overrides,
  });
  await (abortAfter === undefined ? running : expect(running).rejects.toThrow('enough'));
  return states;
}

function bitsOf({ layers }: LoraAdapter): readonly string[] {
  const text = (values: Float32Array): string =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
  return [...layers].map(([path, { a, b }]) => `${path} ${text(a)} ${text(b)}`);
}

describe('states of training', () => {
  it.each([
    ['every step', 1, [1, 2, 3, 4, 5]],
    ['every second step, and the last', 2, [2, 4, 5]],
    ['at interruptions only', Number.POSITIVE_INFINITY, []],
  ])('are saved %s', async (_name, everySteps, steps) => {
    expect((await statesOf(everySteps)).map(({ step }) => step)).toEqual(steps);
  });

  it('are saved once more where the run is aborted, but not twice', async () => {
    expect((await statesOf(Number.POSITIVE_INFINITY, 3)).map(({ step }) => step)).toEqual([3]);
    expect((await statesOf(3, 3)).map(({ step }) => step)).toEqual([3]);
  });

  it.each([
    ['AdamW', defaultAdamw],
    ['Prodigy', defaultProdigy],
  ])(
    'each lead to the bits of one run of %s, under another budget too',
    async (_name, optimizer) => {
      const whole = await run({ optimizer });
      const states = await statesOf(1, undefined, { optimizer });
      expect(states).toHaveLength(batches.length);
      for (const state of states) {
        const reports: number[] = [];
        const resumed = await run(
          { optimizer, resume: state, onStep: ({ step }) => reports.push(step) },
          { weights: 'least' },
        );
        expect(bitsOf(resumed.adapter)).toEqual(bitsOf(whole.adapter));
        expect([resumed.steps, resumed.tokens, resumed.finalLoss]).toEqual([
          whole.steps,
          whole.tokens,
          whole.finalLoss,
        ]);
        expect(reports).toEqual([1, 2, 3, 4, 5].slice(state.step));
      }
    },
  );

  it('need their moments: without them the bits are others', async () => {
    const [state] = await statesOf(2);
    if (!state) throw new Error('no state');
    const forgetful = {
      ...state,
      secondMoments: state.secondMoments.map((values) => values.map((value) => 2 * value)),
    };
    expect(bitsOf((await run({ resume: forgetful })).adapter)).not.toEqual(
      bitsOf((await run({ resume: state })).adapter),
    );
  });

  it('of another optimizer are refused', async () => {
    const [state] = await statesOf(2);
    await expect(run({ resume: state, optimizer: defaultProdigy })).rejects.toMatchObject({
      code: 'FINETUNE_INVALID_STATE',
      message: expect.stringMatching(/one of adamw, the run uses prodigy/),
    });
  });

  it('of another run are refused', async () => {
    const [state] = await statesOf(2);
    if (!state) throw new Error('no state');
    const fewer = new Map([...state.adapter.layers].slice(1));
    const others: readonly (readonly [TrainingState, RegExp, number?])[] = [
      [{ ...state, step: batches.length + 1 }, /6 steps, the run has 5/],
      [{ ...state, step: 0 }, /0 steps/],
      [state, /rank 4, the run's 8/, 8],
      [{ ...state, adapter: { ...state.adapter, layers: fewer } }, /other layers/],
      [{ ...state, firstMoments: state.firstMoments.slice(1) }, /moments/],
    ];
    for (const [resume, message, rank] of others) {
      await expect(run({ resume }, { rank })).rejects.toMatchObject({
        code: 'FINETUNE_INVALID_STATE',
        message: expect.stringMatching(message),
      });
    }
  });
});
