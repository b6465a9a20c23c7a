import { setImmediate } from 'node:timers/promises';
import {
  Device,
  kernelDefinitions,
  MemoryBudget,
  TensorScope,
  type DeviceRates,
  type KernelName,
  type KernelOptions,
  type KernelRate,
  type Prepare,
  type Probe,
  type ProbeOperands,
  type ProbeShape,
  type Work,
} from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import type { ModelLayout } from '@emloc/models';

/** Shapes that a job works with, for a benchmark that resembles it. */
export interface BenchmarkShape {
  readonly layout: ModelLayout;
  /** Sequences of this many tokens, packed. */
  readonly sequences: number;
  readonly sequenceLength: number;
  readonly loraRank: number;
}

/** Prepares launches of one kernel; the same operands on either device. */
type Launches = (device: Device, operands: ProbeOperands) => () => void | Promise<unknown>;

/**
 * Long enough to see past the clock's grain and a cold cache, short enough not to be noticed before
 * a run of minutes.
 */
const minimumProbeSeconds = 0.03;
const maximumRepetitions = 64;

/** Kernels that models launch whose blocks carry states along rows, and no others. */
const ofStates: readonly KernelName[] = ['gatedDeltaRule', 'gatedDeltaRuleBackward'];

/** Kernels that models launch which make pictures, and hardly any others. */
const ofPictures: readonly KernelName[] = ['gatherPatches', 'groupNorm', 'gatedAdd', 'modulate'];

/**
 * Times every kernel that has a probe on a device at a job's shapes: a second or two.
 * @param signal ends it between two kernels
 */
export async function measureRates(
  device: Device,
  shape: BenchmarkShape,
  signal?: AbortSignal,
): Promise<DeviceRates> {
  const kernels: Partial<Record<KernelName, KernelRate>> = {};
  const secondsPerCall = await launchSeconds(device);
  const hasStates = shape.layout.blocks.some(({ program }) => program.states.length > 0);
  const isLaunched = (name: KernelName): boolean =>
    (hasStates || !ofStates.includes(name)) &&
    (shape.layout.diffusion !== null || !ofPictures.includes(name));
  for (const name of Object.keys(kernelDefinitions) as KernelName[]) {
    if (!isLaunched(name)) continue;
    // A synchronous device settles every promise in microtasks: no signal is seen without a turn.
    await setImmediate();
    signal?.throwIfAborted();
    const rate = await rateOf(device, name, { shape: probeShape(shape), secondsPerCall });
    if (rate) kernels[name] = rate;
  }
  const streaming = kernels.add ?? { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall };
  return { kernels, otherwise: streaming, ...(await transferRates(device)) };
}

/** Columns of logits that are timed for a model that has none. */
const noVocabulary = 1024;
/** What a byte or a flop takes does not depend on more of them. */
const mostColumns = 2 ** 19;

/** Sizes of operands like those of the model's widest block. */
function probeShape({ layout, sequences, sequenceLength, loraRank }: BenchmarkShape): ProbeShape {
  const { linears, text } = layout;
  const widest = linears.reduce((most, linear) =>
    linear.outFeatures > most.outFeatures ? linear : most,
  );
  const headDim = headDimOf(layout);
  const hiddenSize = widest.inFeatures;
  return {
    sequences,
    sequenceLength,
    hiddenSize,
    heads: Math.max(1, Math.round(hiddenSize / headDim)),
    headDim,
    vocabularySize: Math.min(text?.vocabularySize ?? noVocabulary, mostColumns),
    widest,
    loraRank,
  };
}

/** What a head has at least. */
function headDimOf({ ropes, diffusion }: ModelLayout): number {
  if (diffusion) return diffusion.ropeAxes.reduce((sum, axis) => sum + axis, 0);
  return Math.max(...[...ropes.values()].map(({ spec }) => spec.rotaryDim));
}

/**
 * What a launch takes whatever its work. 0 on a device that overlaps copies with its work: it does
 * so with launches, too.
 */
async function launchSeconds(device: Device): Promise<number> {
  if (device.profile.overlapsCopies) return 0;
  return timeLaunches(device, ({ kernels }, { tensor }) => {
    const [x, out] = [tensor([1, 1]), tensor([1, 1])];
    return () => kernels.add({ x, out, alpha: 1e-3 });
  });
}

interface Measuring {
  readonly shape: ProbeShape;
  /** Left out of what its work takes. */
  readonly secondsPerCall: number;
}

/** Null for a kernel without a probe: it streams. */
async function rateOf<K extends KernelName>(
  device: Device,
  kernel: K,
  { shape, secondsPerCall }: Measuring,
): Promise<KernelRate | null> {
  const probe = kernelDefinitions[kernel].probe as Probe<KernelOptions<K>> | undefined;
  if (!probe) return null;
  const time = async (prepare: Prepare<KernelOptions<K>>): Promise<Timing> => {
    const launches = launchesOf(kernel, shape, prepare);
    const seconds = await timeLaunches(device, launches);
    return {
      seconds: Math.max(seconds / 2, seconds - secondsPerCall),
      work: await countLaunches(device, kernel, launches),
    };
  };
  if (probe.boundBy === 'both')
    return { ...bothRate(await time(probe.dense), await time(probe.thin)), secondsPerCall };
  const { seconds, work } = await time(probe.prepare);
  return probe.boundBy === 'arithmetic'
    ? { secondsPerFlop: seconds / work.flops, secondsPerByte: 0, secondsPerCall }
    : { secondsPerFlop: 0, secondsPerByte: seconds / work.bytes, secondsPerCall };
}

interface Timing {
  readonly seconds: number;
  readonly work: Work;
}

/** A dense and a thin launch give the cost of a flop and of a byte. */
function bothRate(dense: Timing, thin: Timing): Omit<KernelRate, 'secondsPerCall'> {
  const secondsPerFlop = dense.seconds / dense.work.flops;
  const secondsPerByte =
    Math.max(0, thin.seconds - thin.work.flops * secondsPerFlop) / thin.work.bytes;
  const share = dense.seconds / (dense.seconds + dense.work.bytes * secondsPerByte);
  return { secondsPerFlop: secondsPerFlop * share, secondsPerByte };
}

function launchesOf<K extends KernelName>(
  kernel: K,
  shape: ProbeShape,
  prepare: Prepare<KernelOptions<K>>,
): Launches {
  return ({ kernels }, operands) => {
    const { options, renew } = prepare(operands, shape);
    const launch = kernels[kernel] as (given: KernelOptions<K>) => void | Promise<unknown>;
    return () => {
      renew?.();
      return launch(options);
    };
  };
}

async function transferRates(
  device: Device,
): Promise<Pick<DeviceRates, 'uploadSecondsPerByte' | 'downloadSecondsPerByte'>> {
  const elements = 2 ** 20;
  using tensor = device.allocate([elements], device.profile.computeDType, 'workspace', 'benchmark');
  const host = device.allocateHost(tensor.byteLength);
  try {
    const upload = await timed(async (repetitions) => {
      for (let i = 0; i < repetitions; i += 1)
        device.upload(tensor, { bytes: host.bytes, dtype: device.profile.computeDType });
      await device.synchronize();
    });
    const download = await timed(async (repetitions) => {
      for (let i = 0; i < repetitions; i += 1) await device.downloadBytes(tensor, host.bytes);
    });
    return {
      uploadSecondsPerByte: upload / tensor.byteLength,
      downloadSecondsPerByte: download / tensor.byteLength,
    };
  } finally {
    host.dispose();
  }
}

async function timeLaunches(device: Device, launches: Launches): Promise<number> {
  return withOperands(device, async (operands) => {
    const launch = launches(device, operands);
    await launch();
    await device.synchronize();
    return timed(async (repetitions) => {
      for (let i = 0; i < repetitions; i += 1) await launch();
      await device.synchronize();
    });
  });
}

/** Seconds of one repetition: the least of three runs that are each long enough. */
async function timed(run: (repetitions: number) => Promise<void>): Promise<number> {
  let repetitions = 1;
  for (;;) {
    const seconds = await secondsOf(() => run(repetitions));
    if (seconds < minimumProbeSeconds / 3 && repetitions < maximumRepetitions) repetitions *= 2;
    else
      return (
        Math.min(
          seconds,
          await secondsOf(() => run(repetitions)),
          await secondsOf(() => run(repetitions)),
        ) / repetitions
      );
  }
}

async function secondsOf(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1000;
}

async function countLaunches(
  { profile }: Device,
  kernel: KernelName,
  launches: Launches,
): Promise<Work> {
  const backend = createNullBackend(profile);
  const counting = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  await withOperands(counting, async (operands) => {
    await launches(counting, operands)();
  });
  await counting.close();
  const work = backend.work.get(kernel);
  if (!work) throw new Error(`benchmark: the probe of ${kernel} launches something else`);
  return work;
}

async function withOperands<T>(
  device: Device,
  run: (operands: ProbeOperands) => Promise<T>,
): Promise<T> {
  using scope = new TensorScope(device, 'benchmark');
  return await run({
    statisticsDType: device.profile.statisticsDType,
    tensor: (shape, dtype = device.profile.computeDType) => {
      const tensor = scope.own(device.allocate(shape, dtype, 'workspace', 'benchmark'));
      device.kernels.fill({ out: tensor, value: 0.5 });
      return tensor;
    },
    indices: (values) =>
      scope.own(
        device.tensor(
          { bytes: new Uint8Array(values.buffer), dtype: 'int32' },
          [values.length],
          'int32',
          'workspace',
          'benchmark',
        ),
      ),
    upload: (tensor, values) =>
      device.upload(tensor, { bytes: new Uint8Array(values.buffer), dtype: 'float32' }),
  });
}
