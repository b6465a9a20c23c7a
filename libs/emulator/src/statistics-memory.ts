import type { Device, HostBuffer, Tensor } from '@emloc/device';

import type { StatisticValues } from './statistics.js';

/**
 * Host memory that the statistics of one block after another are brought to, page-locked where the
 * device has such: they come and go back at the rate of the link, and nothing new is touched.
 */
export class StatisticsMemory implements AsyncDisposable {
  readonly #buffers: HostBuffer[] = [];
  #free: HostBuffer[] = [];

  constructor(private readonly device: Device) {}

  /** What was downloaded before may be overwritten from now on. */
  reuse(): void {
    this.#free = [...this.#buffers];
  }

  /** The values of a float32 or float64 tensor, good until `reuse` or the end. */
  async download(tensor: Tensor): Promise<StatisticValues> {
    const { bytes } = this.#take(tensor.byteLength);
    const room = bytes.subarray(0, tensor.byteLength);
    await this.device.downloadBytes(tensor, room);
    return tensor.dtype === 'float64'
      ? new Float64Array(room.buffer, room.byteOffset, tensor.size)
      : new Float32Array(room.buffer, room.byteOffset, tensor.size);
  }

  /**
   * Frees the memory, once nothing copies from it: values downloaded before must not be touched any
   * more.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#free = [];
    try {
      await this.device.synchronize();
    } finally {
      for (const buffer of this.#buffers.splice(0)) buffer.dispose();
    }
  }

  /** The smallest buffer that has room. */
  #take(byteLength: number): HostBuffer {
    const [found] = this.#free
      .filter(({ bytes }) => bytes.byteLength >= byteLength)
      .sort((a, b) => a.bytes.byteLength - b.bytes.byteLength);
    if (found) {
      this.#free.splice(this.#free.indexOf(found), 1);
      return found;
    }
    const buffer = this.device.allocateHost(byteLength);
    this.#buffers.push(buffer);
    return buffer;
  }
}

/** Into memory of its own where none is given. */
export async function downloadStatistic(
  device: Device,
  memory: StatisticsMemory | null,
  sum: Tensor,
): Promise<StatisticValues> {
  return memory ? await memory.download(sum) : ((await device.download(sum)) as StatisticValues);
}
