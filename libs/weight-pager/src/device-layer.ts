import { at } from '@emloc/checked';
import type { Device, DeviceEvent, HostArray, MemoryCategory, Tensor } from '@emloc/device';

import { residentTensor, type LayerSpec } from './source.js';

/**
 * One layer's memory on the device, and the order of streams around it. Memory is taken and given
 * back in the order of the compute stream: so the copy stream waits for the compute stream as it
 * was when the memory was taken, the compute stream waits for the copy before it reads, and also
 * before the memory goes back when it never read.
 */
export class DeviceLayer {
  /** By name, as they are held. Owned by this layer. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The compute stream when the memory was taken. */
  readonly #allocated: DeviceEvent;
  #copied: DeviceEvent | null = null;
  #isCopyOver = false;
  #isOrdered = false;
  #isDisposed = false;
  readonly #disposedEvents = new Set<DeviceEvent>();

  /** Reserves the whole layer or nothing. @throws OutOfBudgetError, DeviceError */
  constructor(
    private readonly device: Device,
    private readonly spec: LayerSpec,
    category: MemoryCategory,
  ) {
    const tensors = new Map<string, Tensor>();
    try {
      for (const tensor of spec.tensors) {
        const { name } = tensor;
        const { shape, dtype } = residentTensor(tensor, device);
        tensors.set(name, device.allocate(shape, dtype, category, `${spec.name}.${name}`));
      }
      this.#allocated = device.record('compute');
    } catch (error) {
      for (const tensor of tensors.values()) tensor.dispose();
      throw error;
    }
    this.tensors = tensors;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /**
   * Starts the copy; once. `arrays` are the tensors in the order of the spec and stay untouched
   * until `copied`.
   * @throws DeviceError; what was started until then goes on.
   */
  upload(arrays: readonly HostArray[]): void {
    this.device.streamWait('copy', this.#allocated);
    try {
      [...this.tensors.values()].forEach((tensor, index) =>
        this.device.upload(tensor, at(arrays, index), 'copy'),
      );
    } finally {
      this.#copied = this.device.record('copy');
    }
  }

  /** Settles when a started copy is over; at once where none was started. @throws DeviceError */
  async copied(): Promise<void> {
    try {
      await this.#copied?.wait();
    } finally {
      this.#isCopyOver = true;
      this.#disposeEvents();
    }
  }

  /** Kernels launched from now on see the copied contents. */
  order(): void {
    if (this.#isOrdered || !this.#copied) return;
    this.device.streamWait('compute', this.#copied);
    this.#isOrdered = true;
    this.#disposeEvents();
  }

  /** Gives the memory back, behind everything launched so far. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    try {
      this.order();
    } finally {
      for (const tensor of this.tensors.values()) tensor.dispose();
      this.#disposeEvents();
    }
  }

  /** Events go, once, when neither stream nor host waits for them any more. */
  #disposeEvents(): void {
    if (this.#copied ? this.#isCopyOver : this.#isDisposed) this.#disposeOnce(this.#allocated);
    if (this.#copied && this.#isCopyOver && this.#isOrdered) this.#disposeOnce(this.#copied);
  }

  #disposeOnce(event: DeviceEvent): void {
    if (this.#disposedEvents.has(event)) return;
    this.#disposedEvents.add(event);
    event.dispose();
  }
}
