import {
  Device,
  MemoryBudget,
  type DeviceRates,
  type DType,
  type KernelName,
  type KernelRate,
  type Tensor,
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

/**
 * Allocates operands on either device, so that the work counted and the work timed are the same.
 */
interface Operands {
  readonly device: Device;
  tensor(shape: readonly number[], dtype?: DType): Tensor;
  indices(values: Int32Array): Tensor;
}

/** Launches one kernel (or a few of the same) once. */
type Probe = (operands: Operands) => () => void | Promise<unknown>;

/**
 * Long enough to see past the clock's grain and a cold cache, short enough not to be noticed before
 * a run of minutes.
 */
const minimumProbeSeconds = 0.03;
const maximumRepetitions = 64;

/** Times every kind of kernel on a device at a job's shapes: a second or two. */
export async function measureRates(device: Device, shape: BenchmarkShape): Promise<DeviceRates> {
  const kernels: Partial<Record<KernelName, KernelRate>> = {};
  for (const [kernel, probe] of Object.entries(probesOf(shape)) as [KernelName, Probe][]) {
    kernels[kernel] = await rateOf(device, kernel, probe);
  }
  kernels.gemm = await gemmRate(device, shape);
  const streaming = kernels.add ?? { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall: 0 };
  return { kernels, otherwise: streaming, ...(await transferRates(device)) };
}

/** Memory-bound by what the null device counts, or, where nothing streams, bound by arithmetic. */
async function rateOf(device: Device, kernel: KernelName, probe: Probe): Promise<KernelRate> {
  const seconds = await timeProbe(device, probe);
  const work = await countProbe(device, kernel, probe);
  const isArithmetic =
    kernel === 'eigh' ||
    kernel === 'cholesky' ||
    kernel === 'gram' ||
    kernel === 'attention' ||
    kernel === 'attentionBackward';
  return isArithmetic
    ? { secondsPerFlop: seconds / work.flops, secondsPerByte: 0, secondsPerCall: 0 }
    : { secondsPerFlop: 0, secondsPerByte: seconds / work.bytes, secondsPerCall: 0 };
}

/** Two products, a large square one and a LoRA-thin one, give the cost of a flop and of a byte. */
async function gemmRate(
  device: Device,
  { layout, sequences, sequenceLength, loraRank }: BenchmarkShape,
): Promise<KernelRate> {
  const rows = sequences * sequenceLength;
  const widest = layout.linears.reduce((most, linear) =>
    linear.outFeatures > most.outFeatures ? linear : most,
  );
  const dense = gemmProbe(rows, widest.inFeatures, widest.outFeatures);
  const thin = gemmProbe(rows, widest.inFeatures, loraRank);
  const [denseSeconds, denseWork] = [
    await timeProbe(device, dense),
    await countProbe(device, 'gemm', dense),
  ];
  const [thinSeconds, thinWork] = [
    await timeProbe(device, thin),
    await countProbe(device, 'gemm', thin),
  ];
  const secondsPerFlop = denseSeconds / denseWork.flops;
  const secondsPerByte =
    Math.max(0, thinSeconds - thinWork.flops * secondsPerFlop) / thinWork.bytes;
  const share = denseSeconds / (denseSeconds + denseWork.bytes * secondsPerByte);
  return { secondsPerFlop: secondsPerFlop * share, secondsPerByte, secondsPerCall: 0 };
}

async function transferRates(
  device: Device,
): Promise<Pick<DeviceRates, 'uploadSecondsPerByte' | 'downloadSecondsPerByte'>> {
  const elements = 2 ** 20;
  const tensor = device.allocate([elements], device.profile.computeDType, 'workspace', 'benchmark');
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
    tensor.dispose();
  }
}

async function timeProbe(device: Device, probe: Probe): Promise<number> {
  return withOperands(device, async (operands) => {
    const launch = probe(operands);
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

async function countProbe(
  { profile }: Device,
  kernel: KernelName,
  probe: Probe,
): Promise<{ flops: number; bytes: number }> {
  const backend = createNullBackend(profile);
  const counting = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  await withOperands(counting, async (operands) => {
    await probe(operands)();
  });
  await counting.close();
  const work = backend.work.get(kernel);
  if (!work) throw new Error(`benchmark: the probe of ${kernel} launches something else`);
  return work;
}

async function withOperands<T>(
  device: Device,
  run: (operands: Operands) => Promise<T>,
): Promise<T> {
  const owned: Tensor[] = [];
  const own = (tensor: Tensor): Tensor => {
    owned.push(tensor);
    return tensor;
  };
  try {
    return await run({
      device,
      tensor: (shape, dtype = device.profile.computeDType) => {
        const tensor = own(device.allocate(shape, dtype, 'workspace', 'benchmark'));
        device.kernels.fill({ out: tensor, value: 0.5 });
        return tensor;
      },
      indices: (values) =>
        own(
          device.tensor(
            { bytes: new Uint8Array(values.buffer), dtype: 'int32' },
            [values.length],
            'int32',
            'workspace',
            'benchmark',
          ),
        ),
    });
  } finally {
    for (const tensor of owned) tensor.dispose();
  }
}

function gemmProbe(m: number, k: number, n: number): Probe {
  return ({ device, tensor }) => {
    const [a, b, out] = [tensor([m, k]), tensor([n, k]), tensor([m, n])];
    return () => device.kernels.gemm({ a, b, transposeB: true, out });
  };
}

function probesOf({
  layout,
  sequences,
  sequenceLength,
  loraRank,
}: BenchmarkShape): Partial<Record<KernelName, Probe>> {
  const rows = sequences * sequenceLength;
  const {
    hiddenSize,
    rope: { headDim },
  } = layout;
  const wide = Math.max(...layout.linears.map(({ outFeatures }) => outFeatures));
  const heads = hiddenSize / headDim;
  const order = Math.min(hiddenSize, 2048);
  return {
    add: ({ device, tensor }) => {
      const [x, out] = [tensor([rows, hiddenSize]), tensor([rows, hiddenSize])];
      return () => device.kernels.add({ x, out, alpha: 1e-3 });
    },
    rmsNorm: ({ device, tensor }) => {
      const [x, weight, out] = [
        tensor([rows, hiddenSize]),
        tensor([hiddenSize]),
        tensor([rows, hiddenSize]),
      ];
      const inverseRms = tensor([rows], 'float32');
      return () => device.kernels.rmsNorm({ x, weight, epsilon: 1e-6, out, inverseRms });
    },
    swiglu: ({ device, tensor }) => {
      const [gate, up, out] = [tensor([rows, wide]), tensor([rows, wide]), tensor([rows, wide])];
      return () => device.kernels.swiglu({ gate, up, out });
    },
    swigluBackward: ({ device, tensor }) => {
      const [gate, up, dOut] = [tensor([rows, wide]), tensor([rows, wide]), tensor([rows, wide])];
      const [dGate, dUp] = [tensor([rows, wide]), tensor([rows, wide])];
      return () => device.kernels.swigluBackward({ dOut, gate, up, dGate, dUp });
    },
    rope: ({ device, tensor, indices }) => {
      const [x, out] = [tensor([rows, hiddenSize]), tensor([rows, hiddenSize])];
      const [cos, sin] = [
        tensor([sequenceLength, headDim / 2], 'float32'),
        tensor([sequenceLength, headDim / 2], 'float32'),
      ];
      const positions = indices(
        Int32Array.from({ length: rows }, (_, row) => row % sequenceLength),
      );
      return () => device.kernels.rope({ x, out, cos, sin, positions, heads });
    },
    attention: (operands) =>
      attentionProbe(operands, { rows, sequences, sequenceLength, heads, headDim }, false),
    attentionBackward: (operands) =>
      attentionProbe(operands, { rows, sequences, sequenceLength, heads, headDim }, true),
    crossEntropy: ({ device, tensor, indices }) => {
      const logits = tensor([64, layout.vocabularySize]);
      const [loss, targets, prediction] = [
        tensor([64], 'float32'),
        indices(new Int32Array(64)),
        indices(new Int32Array(64)),
      ];
      return () => device.kernels.crossEntropy({ logits, targets, loss, prediction });
    },
    adamw: ({ device, tensor }) => {
      const state = () => [
        tensor([wide, loraRank], 'float32'),
        tensor([hiddenSize, loraRank], 'float32'),
      ];
      const [parameters, gradients, firstMoments, secondMoments] = [
        state(),
        state(),
        state(),
        state(),
      ];
      const squaredGradientNorms = tensor([2], 'float32');
      return () =>
        device.kernels.adamw({
          parameters,
          gradients,
          firstMoments,
          secondMoments,
          squaredGradientNorms,
          maxGradientNorm: 1,
          learningRate: 0,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          weightDecay: 0,
          step: 1,
        });
    },
    gram: ({ device, tensor }) => {
      const [x, out] = [
        tensor([rows, hiddenSize]),
        tensor([hiddenSize, hiddenSize], device.profile.statisticsDType),
      ];
      return () => device.kernels.gram({ x, out });
    },
    eigh: (operands) => {
      const { a, renew } = symmetric(operands, order);
      const values = operands.tensor([order], operands.device.profile.statisticsDType);
      return () => {
        renew();
        return operands.device.kernels.eigh({ a, values });
      };
    },
    cholesky: (operands) => {
      const { a, renew } = symmetric(operands, order);
      return () => {
        renew();
        return operands.device.kernels.cholesky({ a });
      };
    },
  };
}

function attentionProbe(
  { device, tensor, indices }: Operands,
  {
    rows,
    sequences,
    sequenceLength,
    heads,
    headDim,
  }: { rows: number; sequences: number; sequenceLength: number; heads: number; headDim: number },
  backward: boolean,
): () => void {
  const width = heads * headDim;
  const [q, k, v, out] = [
    tensor([rows, width]),
    tensor([rows, width]),
    tensor([rows, width]),
    tensor([rows, width]),
  ];
  const logSumExp = tensor([heads, rows], 'float32');
  const offsets = Array.from({ length: sequences + 1 }, (_, index) => index * sequenceLength);
  const layout = {
    offsets,
    deviceOffsets: indices(Int32Array.from(offsets)),
    positions: indices(Int32Array.from({ length: rows }, (_, row) => row % sequenceLength)),
    maxLength: sequenceLength,
  };
  const forward = {
    q,
    k,
    v,
    sequences: layout,
    heads,
    kvHeads: heads,
    scale: 1 / Math.sqrt(headDim),
    out,
    logSumExp,
  };
  if (!backward) return () => device.kernels.attention(forward);
  const [dOut, dQ, dK, dV] = [
    tensor([rows, width]),
    tensor([rows, width]),
    tensor([rows, width]),
    tensor([rows, width]),
  ];
  return () => device.kernels.attentionBackward({ ...forward, dOut, dQ, dK, dV });
}

/**
 * A dense symmetric matrix with distinct eigenvalues, all positive; uploaded anew for every
 * factorisation, which is in place.
 */
function symmetric(operands: Operands, order: number): { a: Tensor; renew: () => void } {
  const values = Float32Array.from({ length: order * order }, (_, index) => {
    const [row, column] = [Math.floor(index / order), index % order];
    return row === column ? order + row : Math.sin(row * column + row + column);
  });
  const a = operands.tensor([order, order], operands.device.profile.statisticsDType);
  return {
    a,
    renew: () =>
      operands.device.upload(a, { bytes: new Uint8Array(values.buffer), dtype: 'float32' }),
  };
}
