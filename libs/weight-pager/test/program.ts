import { at } from '@emloc/checked';
import {
  Device,
  MemoryBudget,
  quantizedFormats,
  quantizedLayout,
  type QuantizedFormat,
  type Tensor,
} from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';

import {
  openPager,
  quantizedSource,
  type LayerSource,
  type Lease,
  type Pager,
  type PagerEvent,
  type PagerOptions,
  type TensorSpec,
} from '../src/index.js';
import { quantize } from '../src/quantize/quantize.js';
import { decode } from './decode.js';
import { randomInteger, seededRandom } from './random.js';
import { SimulatedBackend, simulatedProfile } from './simulated-backend.js';
import { SimulatedSource, weightValue } from './simulated-source.js';

/** A random use of a pager: the same for the same seed, whatever device runs it. */
export interface Program {
  readonly lengths: readonly (readonly number[])[];
  readonly deviceBytes: number;
  readonly hostBytes: number;
  /**
   * Orders one after another, of which the first `used` accesses are made; `isScheduled` tells
   * whether the pager knows them.
   */
  readonly parts: readonly {
    readonly order: readonly number[];
    readonly repeat: number;
    readonly used: number;
    readonly isScheduled: boolean;
  }[];
  /** How many leases are held at once. */
  readonly depth: number;
  /** As what the layers are held; null: as they are. */
  readonly storage: QuantizedFormat | null;
}

const paddedBytes = (length: number) => Math.ceil((4 * length) / 16) * 16;
const stagedBytes = (length: number) => Math.ceil((4 * length) / 64) * 64;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function randomProgram(seed: number): Program {
  const random = seededRandom(seed);
  const isUniform = random() < 0.5;
  const block = [randomInteger(random, 1, 12), randomInteger(random, 1, 12)];
  const count = randomInteger(random, 1, 7);
  const lengths = Array.from({ length: count }, () =>
    isUniform
      ? block
      : Array.from({ length: randomInteger(random, 0, 3) }, () => randomInteger(random, 1, 24)),
  );
  const sizes = lengths.map((tensors) => sum(tensors.map(paddedBytes)));
  const staged = Math.max(64, ...lengths.map((tensors) => sum(tensors.map(stagedBytes))));
  const depth = random() < 0.3 ? 2 : 1;
  const leastBytes = Math.max(16, ...sizes) * depth;
  const parts = Array.from({ length: randomInteger(random, 1, 3) }, () => {
    const order = Array.from({ length: randomInteger(random, 1, 10) }, () =>
      randomInteger(random, 0, count - 1),
    );
    const repeat = randomInteger(random, 1, 3);
    return {
      order,
      repeat,
      used: randomInteger(random, 1, order.length * repeat),
      isScheduled: random() < 0.85,
    };
  });
  return {
    lengths,
    parts,
    depth,
    storage: seed % 2 === 0 ? null : at(quantizedFormats, (seed >> 1) % 2),
    deviceBytes: leastBytes + Math.floor(random() * random() * (sum(sizes) + 16)),
    hostBytes:
      random() < 0.2 ? Number.POSITIVE_INFINITY : staged + Math.floor(random() * staged * count),
  };
}

/**
 * Makes a program's accesses, each of which copies its layer's tensors into fresh activations.
 * Resolves to those, as downloaded.
 */
async function runProgram(program: Program, device: Device, pager: Pager): Promise<Float32Array[]> {
  const outputs: Promise<Float32Array>[] = [];
  const held: Lease[] = [];
  for (const { order, repeat, used, isScheduled } of program.parts) {
    pager.schedule(isScheduled ? order : [], repeat);
    for (let position = 0; position < used; position += 1) {
      const lease = await pager.acquire(at(order, position % order.length));
      held.push(lease);
      for (const x of lease.tensors.values()) outputs.push(copyOf(device, x));
      if (held.length >= program.depth) held.shift()?.release();
    }
  }
  for (const lease of held) lease.release();
  return Promise.all(outputs);
}

function copyOf(device: Device, x: Tensor): Promise<Float32Array> {
  const out = device.allocate(x.shape, 'float32', 'activations', 'copy');
  device.kernels.fill({ out, value: 0 });
  device.kernels.add({ x, out });
  const values = device.download(out) as Promise<Float32Array>;
  out.dispose();
  return values;
}

/** What the accesses must see: each layer as it is held. */
export function expectedOutputs({ parts, lengths, storage }: Program): Promise<Float32Array[]> {
  const outputs = parts
    .flatMap(({ order, used }) =>
      Array.from({ length: used }, (_, position) => at(order, position % order.length)),
    )
    .flatMap((layer) =>
      at(lengths, layer).map((length, tensor) =>
        expectedTensor(
          Float32Array.from({ length }, (_, index) => weightValue(layer, tensor, index)),
          isHeldSmall(tensor) ? storage : null,
        ),
      ),
    );
  return Promise.all(outputs);
}

async function expectedTensor(
  values: Float32Array,
  format: QuantizedFormat | null,
): Promise<Float32Array> {
  if (!format) return values;
  const words = new Uint8Array(4 * quantizedLayout(values.length, format).words);
  await quantize({ bytes: new Uint8Array(values.buffer), dtype: 'float32' }, format, words);
  return decode(words, values.length, format);
}

/** The second tensor of a layer stays as it is. */
function isHeldSmall(tensor: number): boolean {
  return tensor !== 1;
}

function heldSource(source: LayerSource, { storage: format }: Program): LayerSource {
  if (!format) return source;
  const includes = (_: number, { name }: TensorSpec): boolean => isHeldSmall(Number(name.slice(1)));
  return quantizedSource(source, { format, includes });
}

export interface Outcome {
  readonly outputs: readonly Float32Array[];
  readonly peakBytes: number;
  readonly peakWeightBytes: number;
  readonly events: readonly PagerEvent[];
}

type Overrides = Pick<PagerOptions, 'prefetch'>;

async function measure(
  program: Program,
  device: Device,
  options: Omit<PagerOptions, 'device' | 'deviceBytes' | 'hostBytes'>,
): Promise<Outcome> {
  const events: PagerEvent[] = [];
  let peakWeightBytes = 0;
  const pager = openPager({
    ...options,
    device,
    deviceBytes: program.deviceBytes,
    hostBytes: program.hostBytes,
    observer: (event, { deviceBytes }) => {
      events.push(event);
      peakWeightBytes = Math.max(
        peakWeightBytes,
        deviceBytes,
        device.budget.inUseBytesOf('weights'),
      );
    },
  });
  const outputs = await runProgram(program, device, pager);
  await pager.close();
  return { outputs, events, peakWeightBytes, peakBytes: device.budget.peakBytes };
}

/**
 * Runs a program on the simulated device; `timingSeed` decides when reads and streams get their
 * turns.
 */
export async function runSimulated(
  program: Program,
  timingSeed: number,
  overrides: Overrides = {},
) {
  const random = seededRandom(timingSeed);
  const backend = new SimulatedBackend(random, [0.03, 0.5, 0.97][timingSeed % 3]);
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  const source = new SimulatedSource(program.lengths, random);
  const outcome = await measure(program, device, {
    ...overrides,
    source: heldSource(source, program),
  });
  await device.synchronize();
  return { ...outcome, backend, device, source };
}

/** Runs a program on the null device, where nothing is read. */
export async function runPlanned(program: Program, overrides: Overrides = {}): Promise<Outcome> {
  const device = new Device(
    createNullBackend(simulatedProfile),
    new MemoryBudget(Number.POSITIVE_INFINITY),
  );
  return measure(program, device, {
    ...overrides,
    source: heldSource(new SimulatedSource(program.lengths, seededRandom(0)), program),
    reads: 'none',
  });
}
