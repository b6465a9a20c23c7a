import { at } from '@emloc/checked';
import type { Device, HostBuffer } from '@emloc/device';

interface Request {
  readonly bytes: number;
  resolve(buffer: HostBuffer): void;
  reject(error: unknown): void;
}

/**
 * Host buffers under a byte budget. Requests are served in their order, each when enough has been
 * given back; buffers that come back are kept for requests of their size while nothing else needs
 * the room.
 */
export class HostMemory {
  #heldBytes = 0;
  readonly #spare: HostBuffer[] = [];
  readonly #queue: Request[] = [];

  constructor(
    private readonly device: Device,
    readonly capacityBytes: number,
  ) {}

  /** Bytes of all buffers, spare ones included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * @param bytes positive and at most the capacity. Rejects with what the device throws, or with
   * the reason of `close`.
   */
  allocate(bytes: number): Promise<HostBuffer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ bytes, resolve, reject });
      this.#serve();
    });
  }

  /** Nothing reads or writes the buffer any more. */
  free(buffer: HostBuffer): void {
    this.#spare.push(buffer);
    this.#serve();
  }

  /** Gives spare buffers back to the system. */
  trim(): void {
    while (this.#spare.length > 0) this.#dropSpare();
  }

  /**
   * Refuses what waits and gives spare buffers back. Buffers in use come back through `free` and
   * another `trim`.
   */
  close(reason: unknown): void {
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    this.trim();
  }

  #serve(): void {
    for (let request = this.#queue[0]; request; request = this.#queue[0]) {
      const buffer = this.#take(request);
      if (!buffer) return;
      this.#queue.shift();
      buffer.then(request.resolve, request.reject);
    }
  }

  /** null: not yet. */
  #take({ bytes }: Request): Promise<HostBuffer> | null {
    const index = this.#spare.findIndex((buffer) => buffer.bytes.byteLength === bytes);
    if (index >= 0) return Promise.resolve(at(this.#spare.splice(index, 1), 0));
    while (this.#heldBytes + bytes > this.capacityBytes && this.#spare.length > 0)
      this.#dropSpare();
    if (this.#heldBytes + bytes > this.capacityBytes) return null;
    return this.#create(bytes);
  }

  async #create(bytes: number): Promise<HostBuffer> {
    const buffer = this.device.allocateHost(bytes);
    this.#heldBytes += bytes;
    return buffer;
  }

  #dropSpare(): void {
    const buffer = this.#spare.shift();
    if (!buffer) return;
    this.#heldBytes -= buffer.bytes.byteLength;
    buffer.dispose();
  }
}
