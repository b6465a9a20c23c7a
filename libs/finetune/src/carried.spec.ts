import { allDeviceBytes, openPager } from '@emloc/weight-pager';

import { sharedLayout } from '../test/shared-chain.js';
import { openDevice, toyAdapter, ToyRows, toySource } from '../test/toy-chain.js';
import { defaultAdamw } from './optimizer/adamw.js';
import { learningRateAt, type LearningRateSchedule } from './schedule.js';
import { train, type TrainOptions, type TrainResult } from './train.js';

const layout = sharedLayout();
const adapter = toyAdapter(layout, ['source.k', 'second.q']);
const batches = [[[0]], [[1, 2]], [[3]], [[0, 1]]];

const constant = (steps: number): LearningRateSchedule => ({
  ...{ kind: 'constant', learningRate: 0.05, steps, warmupRatio: 0 },
});

async function run(options: Partial<TrainOptions>): Promise<TrainResult> {
  const device = openDevice();
  const source = toySource(layout);
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  const result = await train({
    ...{ model: { device, layout, pager }, adapter, rows: new ToyRows(), batches },
    ...{ schedule: constant(batches.length), optimizer: defaultAdamw, keptBlocks: 0 },
    keepsOptimizer: true,
    ...options,
  });
  await pager.close();
  expect(device.liveTensors).toBe(0);
  await device.close();
  return result;
}

describe('an optimizer that is carried from one training to another', () => {
  it('goes on to the same bits as in one training', async () => {
    const whole = await run({});
    const first = await run({ batches: batches.slice(0, 2) });
    if (!first.optimizer) throw new Error('no optimizer was kept');
    const second = await run({
      adapter: first.adapter,
      batches: batches.slice(2),
      carried: { record: first.optimizer, steps: 2 },
    });
    expect(second.adapter).toEqual(whole.adapter);
    expect(second.optimizer).toEqual(whole.optimizer);
    const fresh = await run({ adapter: first.adapter, batches: batches.slice(2) });
    expect(fresh.adapter).not.toEqual(whole.adapter);
  });

  it('is kept only where it is asked for', async () => {
    expect((await run({ keepsOptimizer: false })).optimizer).toBeNull();
  });
});

describe('a pause', () => {
  it('may replace the parameters that training goes on with', async () => {
    const expected = await run({
      batches: batches.slice(2),
      schedule: constant(2),
      optimizer: { ...defaultAdamw, beta1: 0, beta2: 0 },
    });
    const replaced = await run({
      optimizer: { ...defaultAdamw, beta1: 0, beta2: 0 },
      pause: {
        isDue: (step) => step === 2,
        run: (_step, onDevice) => {
          onDevice.replace(adapter);
          return Promise.resolve();
        },
      },
    });
    expect(replaced.adapter).toEqual(expected.adapter);
  });
});

describe('schedules one after another', () => {
  it('begin each where the one before has had its steps', () => {
    const cosine: LearningRateSchedule = {
      ...{ kind: 'cosine', learningRate: 1, steps: 4, warmupRatio: 0.25 },
    };
    const linear: LearningRateSchedule = { ...cosine, kind: 'linear', steps: 3 };
    const rates = Array.from({ length: 7 }, (_, step) => learningRateAt([cosine, linear], step));
    expect(rates).toEqual([
      ...[0, 1, 2, 3].map((step) => learningRateAt(cosine, step)),
      ...[0, 1, 2].map((step) => learningRateAt(linear, step)),
    ]);
    expect(rates[3]).toBeLessThan(rates[4] ?? 0);
  });
});
