import { setImmediate } from 'node:timers/promises';
import {
  Device,
  kernelDefinitions,
  MemoryBudget,
  type DeviceRates,
  type KernelName,
  type KernelOptions,
  type KernelRate,
  type Prepare,
  type Probe,
  type ProbeShape,
  type Work,
} from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import type { ModelLayout } from '@emloc/models';

import {
  callSeconds,
  secondsOf,
  timed,
  timeLaunches,
  withOperands,
  type Launches,
} from './time-launches.js';

/** Shapes that a job works with, for a benchmark that resembles it. */
export interface BenchmarkShape {
  readonly layout: ModelLayout;
  /** Sequences of this many tokens, packed. */
  readonly sequences: number;
  readonly sequenceLength: number;
  readonly loraRank: number;
}

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
  const secondsPerCall = await callSeconds(device);
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

/** Rows of a product that reads a weight and does next to nothing with it. */
const fewRows = 8;

/** Operands that a kernel has next to nothing to do with; a product sums as many as ever. */
function leastShape({ headDim, loraRank, widest }: ProbeShape): ProbeShape {
  return {
    ...{ sequences: 1, sequenceLength: 2, heads: 1, headDim, loraRank },
    ...{ hiddenSize: headDim, vocabularySize: headDim },
    widest: { inFeatures: widest.inFeatures, outFeatures: headDim },
  };
}

interface Measuring {
  readonly shape: ProbeShape;
  /** Of any launch; left out of what its work takes. */
  readonly secondsPerCall: number;
}

/** Null for a kernel without a probe: it streams. */
async function rateOf<K extends KernelName>(
  device: Device,
  kernel: K,
  { shape, secondsPerCall: ofAny }: Measuring,
): Promise<KernelRate | null> {
  const probe = kernelDefinitions[kernel].probe as Probe<KernelOptions<K>> | undefined;
  if (!probe) return null;
  const launchSeconds = (prepare: Prepare<KernelOptions<K>>, of = shape): Promise<number> =>
    timeLaunches(device, launchesOf(kernel, of, prepare));
  const small = probe.boundBy === 'both' ? probe.thin : probe.prepare;
  // Beside the host short work waits for itself: what a kernel takes at least is its own.
  const secondsPerCall = device.recorder ? await launchSeconds(small, leastShape(shape)) : ofAny;
  const time = async (prepare: Prepare<KernelOptions<K>>, of = shape): Promise<Timing> => {
    const seconds = await launchSeconds(prepare, of);
    return {
      seconds: Math.max(seconds / 2, seconds - secondsPerCall),
      work: await countLaunches(device, kernel, launchesOf(kernel, of, prepare)),
    };
  };
  if (probe.boundBy === 'both') {
    // There a product of few columns has too few tiles to say what a byte takes.
    const thin = device.recorder
      ? await time(probe.dense, { ...shape, sequences: 1, sequenceLength: fewRows })
      : await time(probe.thin);
    return { ...bothRate(await time(probe.dense), thin), secondsPerCall };
  }
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

type TransferRates = Pick<
  DeviceRates,
  'uploadSecondsPerByte' | 'downloadSecondsPerByte' | 'lockSecondsPerByte'
>;

/** Where memory is locked for copies, as much as a layer has. */
const transferred = { elements: 2 ** 20, lockedElements: 2 ** 23 };

async function transferRates(device: Device): Promise<TransferRates> {
  const dtype = device.profile.computeDType;
  const elements = device.recorder ? transferred.lockedElements : transferred.elements;
  using tensor = device.allocate([elements], dtype, 'workspace', 'benchmark');
  const { byteLength } = tensor;
  const host = device.allocateHost(byteLength);
  const uploads = async (repetitions: number): Promise<void> => {
    for (let i = 0; i < repetitions; i += 1) device.upload(tensor, { bytes: host.bytes, dtype });
    await device.synchronize();
  };
  try {
    host.bytes.fill(1);
    const first = await secondsOf(() => uploads(1));
    const upload = await timed(uploads);
    const download = await timed(async (repetitions) => {
      for (let i = 0; i < repetitions; i += 1) await device.downloadBytes(tensor, host.bytes);
    });
    return {
      uploadSecondsPerByte: upload / byteLength,
      downloadSecondsPerByte: download / byteLength,
      ...(device.recorder ? { lockSecondsPerByte: Math.max(0, first - upload) / byteLength } : {}),
    };
  } finally {
    host.dispose();
  }
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
