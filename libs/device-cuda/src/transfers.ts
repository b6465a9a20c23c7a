import { at } from '@emloc/checked';
import {
  bytesPerElement,
  DeviceError,
  type HostArray,
  type HostBuffer,
  type HostValues,
  type StreamName,
  type Tensor,
} from '@emloc/device';

import { launchCast } from './launch-cast.js';
import type { Launcher } from './launcher.js';
import type { CudaMemory, CudaMemoryPool } from './memory.js';
import type { Driver } from './native/driver.js';
import type { PinnedBlock, PinnedMemory } from './pinned-memory.js';
import type { SlowLink } from './slow-link.js';
import type { CudaEvent, Streams } from './streams.js';
import { widen } from './widen.js';

/**
 * Pageable sources go through page-locked slots of this size, a ring of them, so that the copy runs
 * while the next slot is filled.
 */
const slotBytes = 2 ** 22;
const slotCount = 4;
/** Downloads of more bytes go through the slots, too: page-locking as many takes longer. */
const mostDownloadBytes = 2 ** 25;
/** Page-locked buffers of downloads are kept for the next one up to this many bytes. */
const keptBytes = 2 ** 27;

/** A page-locked buffer and the end of the copy that last read it. */
interface Slot {
  readonly pinned: PinnedBlock;
  event: CudaEvent | null;
}

/**
 * Device memory that sources of another dtype land in before they are converted, one for each
 * stream.
 */
export type ConversionArea = Readonly<
  Record<StreamName, { readonly address: number; readonly bytes: number }>
>;

/**
 * Copies between host and device. Page-locked host memory goes straight, everything else through
 * page-locked slots.
 */
export class Transfers {
  readonly #hostBuffers = new WeakMap<ArrayBufferLike, PinnedBlock>();
  readonly #ring: readonly Slot[];
  readonly #kept: PinnedBlock[] = [];
  #next = 0;

  constructor(
    private readonly driver: Driver,
    private readonly streams: Streams,
    private readonly pool: CudaMemoryPool,
    private readonly launcher: Launcher,
    private readonly areas: {
      readonly conversion: ConversionArea;
      readonly pinned: PinnedMemory;
      /** null: copies are as fast as the link is. */
      readonly slowLink: SlowLink | null;
    },
  ) {
    this.#ring = Array.from({ length: slotCount }, () => ({
      pinned: areas.pinned.allocate(slotBytes),
      event: null,
    }));
  }

  allocateHost(bytes: number): HostBuffer {
    const pinned = this.areas.pinned.allocate(bytes);
    this.#hostBuffers.set(pinned.bytes.buffer, pinned);
    let isDisposed = false;
    return {
      bytes: pinned.bytes,
      dispose: () => {
        if (!isDisposed) this.areas.pinned.free(pinned);
        isDisposed = true;
      },
    };
  }

  /** See Backend.keepHostMemory. */
  keepHostMemory(bytes: number): void {
    this.areas.pinned.keep(bytes);
  }

  get spareHostBytes(): number {
    return this.areas.pinned.spareBytes;
  }

  /** See Backend.upload. */
  upload(destination: Tensor, { bytes, dtype }: HostArray, stream: StreamName): void {
    const memory = destination.handle as CudaMemory;
    this.#order(memory, stream);
    const target =
      this.pool.addressOf(memory) + destination.elementOffset * bytesPerElement[destination.dtype];
    if (dtype === destination.dtype) this.#copyIn(target, bytes, stream);
    else this.#convertIn(destination, target, { bytes, dtype }, stream);
    if (stream === 'copy') memory.copiedAt = this.streams.positionOf('copy');
  }

  /**
   * Copies a small table to the device on the compute stream; `bytes` may change as soon as this
   * returns.
   */
  uploadTable(target: number, bytes: Uint8Array): void {
    this.#copyIn(target, bytes, 'compute');
  }

  async download(source: Tensor): Promise<HostValues> {
    const bytes = new Uint8Array(source.byteLength);
    await this.downloadBytes(source, bytes);
    if (source.dtype === 'bfloat16') return widen(new Uint16Array(bytes.buffer));
    if (source.dtype === 'int32') return new Int32Array(bytes.buffer);
    return source.dtype === 'float64'
      ? new Float64Array(bytes.buffer)
      : new Float32Array(bytes.buffer);
  }

  /** The copy is put on the compute stream before this returns its promise. */
  async downloadBytes(source: Tensor, destination: Uint8Array): Promise<void> {
    if (destination.byteLength !== source.byteLength) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `download of ${source.label}: ${destination.byteLength} bytes of room for ${source.byteLength}`,
      );
    }
    if (destination.byteLength === 0) return;
    const memory = source.handle as CudaMemory;
    this.#order(memory, 'compute');
    const address =
      this.pool.addressOf(memory) + source.elementOffset * bytesPerElement[source.dtype];
    const straight = this.#pinnedAddress(destination);
    if (straight !== null) return this.#copyOut(straight, address, destination.byteLength);
    if (destination.byteLength > mostDownloadBytes)
      return this.#copyOutInPieces(destination, address);
    const pinned = this.#takePinned(destination.byteLength);
    try {
      await this.#copyOut(this.areas.pinned.lock(pinned), address, destination.byteLength);
      destination.set(pinned.bytes.subarray(0, destination.byteLength));
    } finally {
      this.#keepPinned(pinned);
    }
  }

  /** The first four bytes of memory that is no tensor. */
  async readInt32(memory: CudaMemory): Promise<number> {
    const pinned = this.#takePinned(4);
    try {
      await this.#copyOut(this.areas.pinned.lock(pinned), this.pool.addressOf(memory), 4);
      return at(new Int32Array(pinned.bytes.buffer, 0, 1), 0);
    } finally {
      this.#keepPinned(pinned);
    }
  }

  close(): void {
    for (const { pinned, event } of this.#ring) {
      event?.dispose();
      this.areas.pinned.free(pinned);
    }
    for (const pinned of this.#kept.splice(0)) this.areas.pinned.free(pinned);
    this.areas.pinned.close();
    this.areas.slowLink?.close();
  }

  /** Puts `stream` after what the other one may still do with this memory. */
  #order(memory: CudaMemory, stream: StreamName): void {
    if (stream === 'copy') this.streams.waitForCompute(memory.allocation.reusedAt);
    else if (memory.copiedAt > 0) this.streams.waitForCopy(memory.copiedAt);
  }

  #copyIn(target: number, source: Uint8Array, stream: StreamName): void {
    this.#eachPiece(
      source,
      Number.POSITIVE_INFINITY,
      (address, offset, bytes) => {
        this.#toDevice(target + offset, address, bytes, stream);
      },
      stream,
    );
  }

  /** Weights come on the copy stream, which is what a slow link slows. */
  #toDevice(target: number, address: number, bytes: number, stream: StreamName): void {
    const copy = (): void => {
      this.driver.cuMemcpyHtoDAsync(target, address, bytes, this.streams.handleOf(stream));
      this.streams.advance(stream);
    };
    const { slowLink } = this.areas;
    if (slowLink && stream === 'copy') slowLink.slow(bytes, stream, copy);
    else copy();
  }

  #convertIn(
    destination: Tensor,
    target: number,
    { bytes, dtype }: HostArray,
    stream: StreamName,
  ): void {
    const area = this.areas.conversion[stream];
    const [from, to] = [bytesPerElement[dtype], bytesPerElement[destination.dtype]];
    this.#eachPiece(
      bytes,
      area.bytes,
      (address, offset, pieceBytes) => {
        this.#toDevice(area.address, address, pieceBytes, stream);
        const [count, start] = [pieceBytes / from, offset / from];
        launchCast(this.launcher, {
          from: dtype,
          to: destination.dtype,
          source: area.address,
          target: target + start * to,
          count,
          stream,
        });
      },
      stream,
    );
  }

  /**
   * Calls `copy` with page-locked addresses of successive pieces: of page-locked sources directly,
   * else by slots of the ring.
   */
  #eachPiece(
    source: Uint8Array,
    maximumBytes: number,
    copy: (address: number, offset: number, bytes: number) => void,
    stream: StreamName,
  ): void {
    const straight = this.#pinnedAddress(source);
    const pieceBytes =
      straight === null
        ? Math.min(maximumBytes, slotBytes)
        : Math.min(maximumBytes, source.byteLength);
    for (let offset = 0; offset < source.byteLength; offset += pieceBytes) {
      const bytes = Math.min(pieceBytes, source.byteLength - offset);
      if (straight !== null) copy(straight + offset, offset, bytes);
      else
        this.#throughSlot(
          source.subarray(offset, offset + bytes),
          (address) => copy(address, offset, bytes),
          stream,
        );
    }
  }

  #throughSlot(piece: Uint8Array, copy: (address: number) => void, stream: StreamName): void {
    const slot = this.#takeSlot();
    slot.pinned.bytes.set(piece);
    copy(this.areas.pinned.lock(slot.pinned));
    slot.event = this.streams.record(stream);
  }

  /** The next slot of the ring, once the copy that last used it is done. */
  #takeSlot(): Slot {
    const slot = at(this.#ring, this.#next);
    this.#next = (this.#next + 1) % slotCount;
    if (slot.event) this.streams.block(slot.event);
    slot.event?.dispose();
    slot.event = null;
    return slot;
  }

  async #copyOut(target: number, address: number, bytes: number): Promise<void> {
    this.driver.cuMemcpyDtoHAsync(target, address, bytes, this.streams.handleOf('compute'));
    this.streams.advance('compute');
    const event = this.streams.record('compute');
    try {
      await event.wait();
    } finally {
      event.dispose();
    }
  }

  /**
   * Blocks: what is too large for a page-locked buffer of its own is read before anything launched
   * later can change it.
   */
  #copyOutInPieces(destination: Uint8Array, address: number): void {
    for (let offset = 0; offset < destination.byteLength; offset += slotBytes) {
      const piece = destination.subarray(offset, offset + slotBytes);
      const slot = this.#takeSlot();
      this.driver.cuMemcpyDtoHAsync(
        this.areas.pinned.lock(slot.pinned),
        address + offset,
        piece.byteLength,
        this.streams.handleOf('compute'),
      );
      this.streams.advance('compute');
      const event = this.streams.record('compute');
      this.streams.block(event);
      event.dispose();
      piece.set(slot.pinned.bytes.subarray(0, piece.byteLength));
    }
  }

  #pinnedAddress(bytes: Uint8Array): number | null {
    const pinned = this.#hostBuffers.get(bytes.buffer);
    return pinned ? this.areas.pinned.lock(pinned) + bytes.byteOffset : null;
  }

  /** Page-locking is slow, so buffers come in powers of two and are used again. */
  #takePinned(bytes: number): PinnedBlock {
    const size = 2 ** Math.max(16, Math.ceil(Math.log2(bytes)));
    const index = this.#kept.findIndex((candidate) => candidate.bytes.byteLength === size);
    return index < 0 ? this.areas.pinned.allocate(size) : at(this.#kept.splice(index, 1), 0);
  }

  #keepPinned(pinned: PinnedBlock): void {
    const kept = this.#kept.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    if (kept + pinned.bytes.byteLength <= keptBytes) this.#kept.push(pinned);
    else this.areas.pinned.free(pinned);
  }
}
