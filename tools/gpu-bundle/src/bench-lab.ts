import { at } from '@emloc/checked';
import type { Device, DType, HostArray, SequenceLayout, Tensor } from '@emloc/device';

import { createRandom, normals } from './random.js';
import { sequenceLayout } from './sequence-layout.js';

/** One measured line. */
export interface Measurement {
  readonly name: string;
  readonly ms: number;
  readonly rate: number;
  readonly unit: 'TFLOP/s' | 'GB/s' | 'launches/s';
}

const blockOfNormals = 2 ** 20;

/** Tensors with random contents, all freed by `dispose`. */
export class Operands {
  readonly #tensors: Tensor[] = [];
  readonly #pattern = normals(blockOfNormals, createRandom(7), 0.5);

  constructor(private readonly device: Device) {}

  random(shape: readonly number[], dtype: DType = 'bfloat16'): Tensor {
    const tensor = this.empty(shape, dtype);
    const flat = tensor.reshape([tensor.size]);
    for (let start = 0; start < tensor.size; start += blockOfNormals) {
      const end = Math.min(start + blockOfNormals, tensor.size);
      this.device.upload(flat.rows(start, end), bytesOf(this.#pattern.subarray(0, end - start)));
    }
    return tensor;
  }

  integers(values: readonly number[]): Tensor {
    const tensor = this.empty([values.length], 'int32');
    this.device.upload(tensor, {
      bytes: new Uint8Array(Int32Array.from(values).buffer),
      dtype: 'int32',
    });
    return tensor;
  }

  empty(shape: readonly number[], dtype: DType): Tensor {
    const tensor = this.device.allocate(shape, dtype, 'activations', `bench ${shape.join('x')}`);
    this.#tensors.push(tensor);
    return tensor;
  }

  sequences(lengths: readonly number[]): SequenceLayout {
    return sequenceLayout(lengths, (values) => this.integers(values));
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
  }
}

function bytesOf(values: Float32Array): HostArray {
  return {
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    dtype: 'float32',
  };
}

interface Work {
  readonly flops?: number;
  readonly bytes?: number;
}

/** Median of five batches, each long enough that the host's clock measures the device. */
export async function measure(
  device: Device,
  name: string,
  { flops, bytes }: Work,
  launch: () => void,
): Promise<Measurement> {
  const batch = async (count: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < count; i += 1) launch();
    await device.synchronize();
    return (performance.now() - start) / count;
  };
  const first = await batch(3);
  const count = Math.max(3, Math.min(200, Math.ceil(30 / first)));
  const times = [];
  for (let i = 0; i < 5; i += 1) times.push(await batch(count));
  const ms = at(
    times.sort((one, other) => one - other),
    2,
  );
  if (flops) return { name, ms, rate: flops / ms / 1e9, unit: 'TFLOP/s' };
  return bytes
    ? { name, ms, rate: bytes / ms / 1e6, unit: 'GB/s' }
    : { name, ms, rate: 1000 / ms, unit: 'launches/s' };
}

export type Group = (
  device: Device,
  operands: Operands,
  report: (line: Measurement) => void,
) => Promise<void>;
