import { byteLength, elementCount, type DType } from './dtype.js';
import { DeviceError } from './errors.js';

/** Called once, when the last owner of a tensor's memory lets go. */
export type ReleaseStorage = () => void;

/**
 * A dense row-major array on a device, counted by references: created with one, `retain` adds one,
 * `dispose` takes one away and frees the memory at zero. `Handle` is private to the device that
 * made it.
 */
export class Tensor<Handle = unknown> {
  #references = 1;

  constructor(
    readonly shape: readonly number[],
    readonly dtype: DType,
    /** Label in error messages. */
    readonly label: string,
    private readonly storage: Handle,
    private readonly releaseStorage: ReleaseStorage,
    /** First element of a row view within its base; 0 for a tensor that owns its memory. */
    readonly elementOffset: number = 0,
    private readonly base: Tensor<Handle> | null = null,
  ) {}

  get size(): number {
    return elementCount(this.shape);
  }

  /**
   * The extent of an axis; -1 is the last one.
   * @throws DeviceError DEVICE_SHAPE_MISMATCH for an axis that the shape does not have
   */
  dim(axis: number): number {
    const extent = this.shape.at(axis);
    if (extent === undefined) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `axis ${axis} of ${this.label}, whose shape is [${this.shape.join(', ')}]`,
      );
    }
    return extent;
  }

  get byteLength(): number {
    return byteLength(this.shape, this.dtype);
  }

  get isDisposed(): boolean {
    return this.base ? this.base.isDisposed : this.#references === 0;
  }

  /**
   * Whether more than one owner holds the memory, so that writing in place would be seen elsewhere.
   */
  get isShared(): boolean {
    return this.base ? this.base.isShared : this.#references > 1;
  }

  /**
   * The device's private handle of the memory that `elementOffset` counts into.
   * @throws DeviceError after disposal.
   */
  get handle(): Handle {
    if (this.isDisposed)
      throw new DeviceError('DEVICE_USE_AFTER_DISPOSE', `tensor ${this.label} was disposed`);
    return this.storage;
  }

  retain(): this {
    if (this.base) this.base.retain();
    else if (this.#references === 0)
      throw new DeviceError('DEVICE_USE_AFTER_DISPOSE', `tensor ${this.label} was disposed`);
    else this.#references += 1;
    return this;
  }

  dispose(): void {
    if (this.base) return this.base.dispose();
    if (this.#references === 0)
      throw new DeviceError('DEVICE_USE_AFTER_DISPOSE', `tensor ${this.label} was disposed twice`);
    this.#references -= 1;
    if (this.#references === 0) this.releaseStorage();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * A view of rows [start, end) of the leading dimension. It shares memory and reference count with
   * its base: it needs no `dispose` of its own and is valid while the base is.
   */
  rows(start: number, end: number): Tensor<Handle> {
    const leading = this.dim(0);
    const rest = this.shape.slice(1);
    if (start < 0 || end < start || end > leading) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `rows ${start}..${end} of ${this.label} with ${leading} rows`,
      );
    }
    const offset = this.elementOffset + start * elementCount(rest);
    return new Tensor(
      [end - start, ...rest],
      this.dtype,
      this.label,
      this.storage,
      this.releaseStorage,
      offset,
      this.base ?? this,
    );
  }

  /** The same memory under another shape of equal size; a view as from `rows`. */
  reshape(shape: readonly number[]): Tensor<Handle> {
    if (elementCount(shape) !== this.size) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `reshape ${this.label} [${this.shape.join()}] to [${shape.join()}]`,
      );
    }
    return new Tensor(
      shape,
      this.dtype,
      this.label,
      this.storage,
      this.releaseStorage,
      this.elementOffset,
      this.base ?? this,
    );
  }
}
