import { get } from '@emloc/checked';
import { byteLength, type Device, type HostBuffer, type Tensor } from '@emloc/device';

/** What a stream holds between two blocks, in host memory, as long as somebody holds it. */
class HostStream {
  #holders = 1;

  constructor(
    readonly buffer: HostBuffer,
    readonly shape: readonly number[],
  ) {}

  retain(): this {
    this.#holders += 1;
    return this;
  }

  get isShared(): boolean {
    return this.#holders > 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.buffer.dispose();
  }
}

/** Streams of one batch that wait in host memory, by name: (rows, width) in the compute dtype. */
export class HostStreams implements Disposable {
  readonly #streams = new Map<string, HostStream>();

  constructor(private readonly device: Device) {}

  has(stream: string): boolean {
    return this.#streams.has(stream);
  }

  get names(): readonly string[] {
    return [...this.#streams.keys()];
  }

  /** Keeps a tensor's values, which stays the caller's, in place of what the stream held. */
  async put(stream: string, tensor: Tensor): Promise<void> {
    const bytes = byteLength(tensor.shape, tensor.dtype);
    const known = this.#streams.get(stream);
    const isFree = known && !known.isShared && known.buffer.bytes.byteLength === bytes;
    const held = isFree ? known : new HostStream(this.device.allocateHost(bytes), tensor.shape);
    if (held !== known) known?.release();
    this.#streams.set(stream, held);
    await this.device.downloadBytes(tensor, held.buffer.bytes);
  }

  /** A tensor of the values, which is the caller's. */
  upload(stream: string): Tensor {
    const { buffer, shape } = get(this.#streams, stream);
    const dtype = this.device.profile.computeDType;
    return this.device.tensor({ bytes: buffer.bytes, dtype }, shape, dtype, 'activations', stream);
  }

  /** The same values of some of the streams, held once more; streams that are not here are left. */
  share(streams: Iterable<string>): HostStreams {
    const shared = new HostStreams(this.device);
    for (const stream of streams) {
      const held = this.#streams.get(stream);
      if (held) shared.#streams.set(stream, held.retain());
    }
    return shared;
  }

  drop(stream: string): void {
    this.#streams.get(stream)?.release();
    this.#streams.delete(stream);
  }

  [Symbol.dispose](): void {
    for (const stream of this.names) this.drop(stream);
  }
}
