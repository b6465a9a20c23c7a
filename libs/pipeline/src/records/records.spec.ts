import type { Device } from '@emloc/device';
import { cpuProfile } from '@emloc/device-cpu';

import { cpuRun } from '../../test/cpu-run.js';
import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import { hashed } from '../../test/hashed.js';
import type { JobRun } from '../job/job-run.js';
import { startingAdapter, type Job } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { outcomeFromRecord, outcomeToRecord } from '../job/stage-outcomes.js';
import { calibrate, type BlockStatistics } from '../stages/calibrate.js';
import { emulateBlock } from '../stages/emulate.js';
import { adapterFromRecord, adapterToRecord } from './adapter.js';
import { factorsFromRecord, factorsToRecord } from './factors.js';
import { statisticsFromRecord, statisticsToRecord } from './statistics.js';
import type { TensorRecord } from './tensor-record.js';
import { stageProgressFromRecord, stageProgressToRecord } from './training-state.js';

let workspace: Workspace;
let job: Job;
let device: Device;
let run: JobRun;
/** By the metric of the emulator. */
let calibrated: Readonly<Record<'output' | 'loss', readonly BlockStatistics[]>>;

beforeAll(async () => {
  workspace = await openWorkspace();
  job = await prepareJob(
    workspace.options({ ratios: ['.*(k_proj|down_proj|up_proj)=0.4', '1'], calibrationRows: 2 }),
  );
  run = cpuRun(job);
  ({ device } = run.environment);
  calibrated = {
    output: await collect(calibrate(run)),
    loss: await collect(calibrate(inLoss(run))),
  };
});

afterAll(async () => {
  await device.close();
  await job.close();
  await workspace.close();
});

/** The run in the metric of the loss. */
function inLoss({ job: { options, ...rest }, environment }: JobRun): JobRun {
  return { job: { ...rest, options: { ...options, emulatorMetric: 'loss' } }, environment };
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** As it is after a way through files or the network: tensors in another order, bytes elsewhere. */
function travelled({ tensors, attributes }: TensorRecord): TensorRecord {
  const moved = tensors.map((tensor) => {
    const buffer = new Uint8Array(tensor.bytes.byteLength + 1);
    buffer.set(tensor.bytes, 1);
    return { ...tensor, bytes: buffer.subarray(1) };
  });
  return { tensors: moved.reverse(), attributes: { ...attributes } };
}

describe('records', () => {
  const evaluation = { loss: 1 / 3, tokenAccuracy: 0.1, exactMatch: 0, rows: 5, tokens: 77 };

  it('bring adapters back as they were, with their layers in order', () => {
    const adapter = startingAdapter(job);
    const back = adapterFromRecord(travelled(adapterToRecord(adapter)));
    expect(back).toEqual(adapter);
    expect([...back.layers.keys()]).toEqual([...adapter.layers.keys()]);
  });

  it('bring training states and outcomes back as they were', () => {
    const adapter = startingAdapter(job);
    const moments = [...adapter.layers.values()]
      .flatMap(({ a, b }) => [a, b])
      .map((values, index) => new Float32Array(values.length).fill(index / 7));
    const state = {
      step: 3,
      tokens: 1234,
      seconds: 0.1 + 0.2,
      finalLoss: 2 / 3,
      adapter,
      firstMoments: moments,
      secondMoments: [...moments]
        .reverse()
        .map((_, index) => moments[index]?.map((value) => value + 1) ?? new Float32Array()),
    };
    expect(
      stageProgressFromRecord(
        travelled(stageProgressToRecord({ before: evaluation, state, validations: null })),
      ),
    ).toEqual({ before: evaluation, state, validations: null });
    const curve = [
      { step: 0, loss: 2.5 },
      { step: 2, loss: Number.NaN },
      { step: 3, loss: 1 / 3 },
    ];
    const other = {
      ...adapter,
      layers: new Map(
        [...adapter.layers].map(([path, layer]) => [
          path,
          { ...layer, b: layer.b.map((_, index) => index / 3) },
        ]),
      ),
    };
    for (const best of [null, { step: 3, score: evaluation, adapter: other }]) {
      const progress = { before: evaluation, state, validations: { curve, best } };
      expect(stageProgressFromRecord(travelled(stageProgressToRecord(progress)))).toEqual(progress);
    }
    const prodigy = { gradientSums: moments, distance: 0.1 + 0.2, numerator: 1e-17 / 3 };
    const anchor = moments.map((values) => values.map((value) => value / 7));
    for (const more of [{ prodigy }, { anchor }, { prodigy, anchor }]) {
      const progress = { before: null, state: { ...state, ...more }, validations: null };
      expect(stageProgressFromRecord(travelled(stageProgressToRecord(progress)))).toEqual(progress);
    }
    const tuned = {
      adapter,
      before: null,
      after: { ...evaluation, loss: Number.POSITIVE_INFINITY },
      course: { curve, chosenStep: 3, divergence: 'step 4: loss NaN', stoppedEarly: false },
      steps: 3,
      tokens: 1234,
      seconds: 1.5,
      finalLoss: Number.NaN,
      secondMoments: moments,
    };
    expect(outcomeFromRecord('train', travelled(outcomeToRecord(tuned)))).toEqual(tuned);
    const afresh = { ...tuned, secondMoments: null };
    expect(outcomeFromRecord('train', travelled(outcomeToRecord(afresh)))).toEqual(afresh);
    const correction = { adapter, chosen: '3', scores: { none: 1.1, 3: 1 / 3 }, baseLoss: 2.5 };
    expect(outcomeFromRecord('correct', travelled(outcomeToRecord(correction)))).toEqual(
      correction,
    );
  });

  it.each(['output', 'loss'] as const)(
    'bring statistics back so that the same factors come of them, metric %s',
    async (metric) => {
      const both = new Set(['input', 'output']);
      const blocks = calibrated[metric];
      expect(blocks.length).toBeGreaterThan(1);
      const { statistics, gradients } = { ...blocks[0]?.statistics };
      expect(new Set(statistics?.map(({ kind }) => kind))).toEqual(both);
      expect(new Set(gradients?.map(({ kind }) => kind))).toEqual(
        metric === 'loss' ? both : new Set(),
      );
      for (const block of blocks) {
        const back = statisticsFromRecord(travelled(statisticsToRecord(block)));
        expect(hashed(back)).toEqual(hashed(block));
        const { factors, reports } = await emulateBlock(run, back);
        expect(hashed({ factors, reports })).toEqual(hashed(await emulateBlock(run, block)));
        const record = travelled(
          factorsToRecord({ block: block.block, factors, reports }, cpuProfile),
        );
        const received = factorsFromRecord(record, { emulated: job.emulated, profile: cpuProfile });
        expect(hashed(received)).toEqual(hashed({ block: block.block, factors, reports }));
      }
      expect(device.liveTensors).toBe(0);
    },
  );

  it.each(['output', 'loss'] as const)(
    'give the statistics of a block also where others are skipped, metric %s',
    async (metric) => {
      const inMetric = metric === 'loss' ? inLoss(run) : run;
      const blocks = calibrated[metric];
      for (const skipped of [blocks.at(0), blocks.at(-1)])
        expect(
          hashed(await collect(calibrate(inMetric, { skip: new Set([skipped?.block ?? -1]) }))),
        ).toEqual(hashed(blocks.filter((block) => block !== skipped)));
      const skip = new Set(blocks.map(({ block }) => block));
      expect(await collect(calibrate(inMetric, { skip }))).toEqual([]);
    },
  );

  it.each<[string, (record: TensorRecord) => TensorRecord]>([
    [
      'a tensor is missing',
      ({ tensors, attributes }) => ({ tensors: tensors.slice(1), attributes }),
    ],
    [
      'a tensor is too short',
      ({ tensors, attributes }) => ({
        tensors: tensors.map((tensor) => ({ ...tensor, bytes: tensor.bytes.subarray(4) })),
        attributes,
      }),
    ],
    [
      'a shape is another',
      ({ tensors, attributes }) => ({
        tensors: tensors.map((tensor) => ({ ...tensor, shape: [...tensor.shape].reverse() })),
        attributes,
      }),
    ],
    [
      'a dtype is another',
      ({ tensors, attributes }) => ({
        tensors: tensors.map((tensor) => ({ ...tensor, dtype: 'bfloat16' as const })),
        attributes,
      }),
    ],
    ['an attribute is missing', ({ tensors }) => ({ tensors, attributes: {} })],
    [
      'an attribute is no JSON',
      ({ tensors, attributes }) => ({
        tensors,
        attributes: Object.fromEntries(Object.keys(attributes).map((name) => [name, '{'])),
      }),
    ],
    [
      'an attribute has another form',
      ({ tensors, attributes }) => ({
        tensors,
        attributes: Object.fromEntries(
          Object.keys(attributes).map((name) => [name, '{"rank":"8"}']),
        ),
      }),
    ],
  ])('are refused where %s', (_name, damage) => {
    const refusal = expect.objectContaining({ code: 'PIPELINE_RECORD_INVALID' }) as unknown;
    expect(() => adapterFromRecord(damage(adapterToRecord(startingAdapter(job))))).toThrow(
      refusal as Error,
    );
  });

  it('are refused as factors of another job', () => {
    const other = { emulated: job.emulated.slice(1), profile: cpuProfile };
    const factors = job.emulated
      .filter(({ block }) => block === 0)
      .map((linear) => ({ linear, u: new Uint8Array(), v: new Uint8Array() }));
    const reports = factors.map(({ linear: { path, ratio, rank } }) => ({
      name: path,
      ratio,
      rank,
      relativeError: 0.1,
      solver: 'full',
      usedFallback: false,
    }));
    expect(() =>
      factorsFromRecord(factorsToRecord({ block: 0, factors, reports }, cpuProfile), other),
    ).toThrow('block 0');
  });
});
