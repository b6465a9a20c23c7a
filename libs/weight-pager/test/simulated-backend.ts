import { at } from '@emloc/checked';
import {
  factorizationNames,
  launchedKernelNames,
  type Backend,
  type DequantizeOptions,
  type DeviceEvent,
  type DeviceProfile,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type Kernels,
  type StreamName,
  type Tensor,
} from '@emloc/device';

import { decode } from './decode.js';

export const simulatedProfile: DeviceProfile = {
  name: 'simulated',
  computeDType: 'float32',
  statisticsDType: 'float32',
  allocationBytes: 16,
  rankMultiple: 1,
  reserveBytes: 0,
  workspaceBytes: {},
};

/** Memory as the compute stream sees it: there from the allocation's turn to the free's turn. */
interface Memory {
  readonly bytes: number;
  block: Float32Array | null;
}

type Operation = { readonly run: () => void } | { readonly after: SimulatedEvent };

class SimulatedEvent implements DeviceEvent {
  isDone = false;
  isDisposed = false;
  readonly #done: Promise<void>;
  #settle!: () => void;

  constructor(private readonly device: SimulatedBackend) {
    this.#done = new Promise((resolve) => (this.#settle = resolve));
  }

  async wait(): Promise<void> {
    this.device.check(!this.isDisposed, 'wait for a disposed event');
    await this.#done;
    if (this.device.failure) throw this.device.failure;
  }

  finish(): void {
    this.isDone = true;
    this.#settle();
  }

  dispose(): void {
    this.device.check(!this.isDisposed, 'event disposed twice');
    this.isDisposed = true;
    this.device.liveEvents -= 1;
  }
}

/**
 * An asynchronous device that runs its two streams later, in an order that `random` picks among
 * those that streams and events allow. Freed memory is handed out again at once, host memory is
 * overwritten when it is disposed, and copies run in two parts: what is read too early or
 * overwritten too late is seen in the values.
 */
export class SimulatedBackend implements Backend<Memory> {
  readonly profile = simulatedProfile;
  readonly kernels: Kernels;
  /** Breaches of the rules of streams, events and memory. */
  readonly violations: string[] = [];
  liveEvents = 0;
  liveHostBytes = 0;
  peakHostBytes = 0;
  hostAllocations = 0;
  /** Thrown by the next allocation of host memory. */
  hostRefusal: Error | null = null;
  /** Thrown by every event that is waited for from now on. */
  failure: Error | null = null;
  /** Uploads still to be let through before one is refused. */
  uploadsUntilFailure = Number.POSITIVE_INFINITY;
  readonly #queues: Record<StreamName, Operation[]> = { compute: [], copy: [] };
  readonly #freeBlocks: Float32Array[] = [];
  readonly #disposedHost = new WeakSet<ArrayBufferLike>();
  #isPumping = false;

  /** @param computeShare how often the compute stream goes first where both could. */
  constructor(
    private readonly random: () => number,
    private readonly computeShare = 0.5,
  ) {
    const refused = [...launchedKernelNames, ...factorizationNames].map((name) => [
      name,
      () => this.check(false, `${name} is not simulated`),
    ]);
    this.kernels = {
      ...(Object.fromEntries(refused) as Kernels),
      add: this.#add,
      fill: this.#fill,
      dequantize: this.#dequantize,
    };
  }

  check(holds: boolean, violation: string): void {
    if (!holds) this.violations.push(violation);
  }

  allocate(bytes: number): Memory {
    const memory: Memory = { bytes, block: null };
    this.#launch('compute', () => {
      const index = this.#freeBlocks.findLastIndex((block) => block.byteLength === bytes);
      memory.block =
        index < 0 ? new Float32Array(bytes / 4) : at(this.#freeBlocks.splice(index, 1), 0);
      memory.block.fill(Number.NaN);
    });
    return memory;
  }

  free(memory: Memory): void {
    this.#launch('compute', () => {
      if (memory.block) this.#freeBlocks.push(memory.block);
      memory.block = null;
    });
  }

  upload(destination: Tensor, source: HostArray, stream: StreamName): void {
    if (this.uploadsUntilFailure <= 0) throw new Error('copy refused');
    this.uploadsUntilFailure -= 1;
    const memory = destination.handle as Memory;
    const { buffer, byteOffset, byteLength } = source.bytes;
    const part = (start: number, end: number) => () => {
      this.check(
        !this.#disposedHost.has(buffer),
        `upload of ${destination.label} from disposed host memory`,
      );
      this.check(
        memory.block !== null,
        `upload of ${destination.label} into memory that is not allocated`,
      );
      memory.block?.set(
        new Float32Array(buffer, byteOffset, byteLength / 4).subarray(start, end),
        start,
      );
    };
    const middle = destination.size >> 1;
    this.#launch(stream, part(0, middle));
    this.#launch(stream, part(middle, destination.size));
  }

  download(source: Tensor): Promise<HostValues> {
    const memory = source.handle as Memory;
    return new Promise((resolve) => {
      this.#launch('compute', () => resolve(this.#values(memory, source).slice()));
    });
  }

  downloadBytes(): Promise<void> {
    return Promise.reject(new Error('not simulated'));
  }

  allocateHost(length: number): HostBuffer {
    this.check(length > 0, 'empty host buffer');
    const refusal = this.hostRefusal;
    this.hostRefusal = null;
    if (refusal) throw refusal;
    this.hostAllocations += 1;
    const bytes = new Uint8Array(length);
    this.liveHostBytes += length;
    this.peakHostBytes = Math.max(this.peakHostBytes, this.liveHostBytes);
    return {
      bytes,
      dispose: () => {
        this.check(!this.#disposedHost.has(bytes.buffer), 'host buffer disposed twice');
        this.#disposedHost.add(bytes.buffer);
        this.liveHostBytes -= length;
        bytes.fill(0xff);
      },
    };
  }

  record(stream: StreamName): DeviceEvent {
    const event = new SimulatedEvent(this);
    this.liveEvents += 1;
    this.#launch(stream, () => event.finish());
    return event;
  }

  streamWait(stream: StreamName, event: DeviceEvent): void {
    this.check(!(event as SimulatedEvent).isDisposed, 'stream waits for a disposed event');
    this.#enqueue(stream, { after: event as SimulatedEvent });
  }

  async synchronize(): Promise<void> {
    await Promise.all(
      [this.record('compute'), this.record('copy')].map(async (event) => {
        await event.wait();
        event.dispose();
      }),
    );
  }

  close(): Promise<void> {
    return this.synchronize();
  }

  readonly #add = ({ x, out, alpha = 1 }: { x: Tensor; out: Tensor; alpha?: number }): void => {
    const [source, target] = [x.handle as Memory, out.handle as Memory];
    this.#launch('compute', () => {
      const values = this.#values(source, x);
      this.#values(target, out).forEach(
        (value, index, all) => (all[index] = value + alpha * at(values, index)),
      );
    });
  };

  readonly #fill = ({ out, value }: { out: Tensor; value: number }): void => {
    const memory = out.handle as Memory;
    this.#launch('compute', () => this.#values(memory, out).fill(value));
  };

  readonly #dequantize = ({ x, format, out }: DequantizeOptions): void => {
    const [source, target] = [x.handle as Memory, out.handle as Memory];
    this.#launch('compute', () => {
      const { buffer, byteOffset, byteLength } = this.#values(source, x);
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      this.#values(target, out).set(decode(bytes, out.size, format));
    });
  };

  #values(memory: Memory, tensor: Tensor): Float32Array {
    this.check(memory.block !== null, `${tensor.label} used while it is not allocated`);
    return (memory.block ?? new Float32Array(tensor.size).fill(Number.NaN)).subarray(
      0,
      tensor.size,
    );
  }

  #launch(stream: StreamName, run: () => void): void {
    this.#enqueue(stream, { run });
  }

  #enqueue(stream: StreamName, operation: Operation): void {
    this.#queues[stream].push(operation);
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(this.#pump);
  }

  /** Runs some of what may run, and comes back while anything is left. */
  readonly #pump = (): void => {
    for (let count = Math.floor(this.random() * 12); count > 0; count -= 1) {
      const first: StreamName = this.random() < this.computeShare ? 'compute' : 'copy';
      if (!this.#runNext(first)) this.#runNext(first === 'compute' ? 'copy' : 'compute');
    }
    this.#isPumping = this.#queues.compute.length + this.#queues.copy.length > 0;
    if (this.#isPumping) setImmediate(this.#pump);
  };

  #runNext(stream: StreamName): boolean {
    const queue = this.#queues[stream];
    const next = queue[0];
    if (!next || ('after' in next && !next.after.isDone)) return false;
    queue.shift();
    if ('run' in next) next.run();
    return true;
  }
}
