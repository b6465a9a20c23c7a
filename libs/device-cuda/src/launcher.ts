import { DeviceError, type StreamName } from '@emloc/device';

import type { KernelCompiler } from './compiler.js';
import {
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
  CU_LAUNCH_PARAM_BUFFER_POINTER,
  CU_LAUNCH_PARAM_BUFFER_SIZE,
  CU_MEMHOSTALLOC_PORTABLE,
  CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
  CU_TENSOR_MAP_INTERLEAVE_NONE,
  CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
  CU_TENSOR_MAP_SWIZZLE_128B,
  viewMemory,
  type Driver,
} from './native/driver.js';
import { Cell } from './native/status.js';
import type { Streams } from './streams.js';

/** Bytes of kernel parameters that every CUDA device takes. */
const maximumParameterBytes = 4096;
/** Shared memory that a kernel may ask for without saying so first. */
const defaultSharedBytes = 48 * 1024;

/** Parameters that a kernel with tensor maps takes at most. */
const maximumParameters = 64;

/** Bytes of a CUtensorMap, and what its address is a multiple of. */
const tensorMapBytes = 128;
const tensorMapAlignment = 64;

/** A matrix of bfloat16, and the tiles of it that a kernel's copy engine brings. */
export interface MappedMatrix {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
  readonly tileRows: number;
  /** At most 64: what the swizzle takes. */
  readonly tileColumns: number;
}

export interface LaunchShape {
  readonly grid: readonly [number, number?, number?];
  readonly block: number;
  readonly sharedBytes?: number;
  readonly stream?: StreamName;
}

/**
 * Launches kernels. Parameters go into one packed native buffer, laid out as the C compiler lays
 * out the parameter list; the driver copies it during the launch, so that one buffer serves all
 * launches. Where parameters are tensor maps the buffer is no image of the kernel's own: a
 * parameter aligned to 64 makes the compiler move all of them, so that the first lies 48 bytes
 * into it on Hopper cards. Such a launch lists the address of each parameter instead.
 */
export class Launcher {
  readonly #modules = new Map<string, number>();
  readonly #functions = new Map<string, { readonly handle: number; sharedBytes: number }>();
  readonly #memory: number;
  readonly #parameters: DataView;
  readonly #extra: BigUint64Array;
  readonly #extraAddress: number;
  /** Addresses of the parameters, for launches with tensor maps. */
  readonly #list: BigUint64Array;
  readonly #listAddress: number;
  readonly #offsets: number[] = [];
  #cursor = 0;
  #hasTensorMaps = false;

  constructor(
    private readonly driver: Driver,
    private readonly compiler: KernelCompiler,
    private readonly streams: Streams,
  ) {
    const address = new Cell();
    const bytes = maximumParameterBytes + 64 + maximumParameters * 8;
    driver.cuMemHostAlloc(address.raw, bytes, CU_MEMHOSTALLOC_PORTABLE);
    this.#memory = address.value;
    this.#extraAddress = this.#memory + maximumParameterBytes;
    this.#listAddress = this.#extraAddress + 64;
    this.#list = new BigUint64Array(viewMemory(this.#listAddress, maximumParameters * 8));
    this.#parameters = new DataView(viewMemory(this.#memory, maximumParameterBytes));
    // The `extra` list (buffer, its size by address, end), then the size itself.
    this.#extra = new BigUint64Array(viewMemory(this.#extraAddress, 48));
    this.#extra.set([
      BigInt(CU_LAUNCH_PARAM_BUFFER_POINTER),
      BigInt(this.#memory),
      BigInt(CU_LAUNCH_PARAM_BUFFER_SIZE),
      BigInt(this.#extraAddress + 40),
      0n,
      0n,
    ]);
  }

  /** Starts a parameter list; what an earlier, failed launch left behind is forgotten. */
  begin(): this {
    this.#cursor = 0;
    this.#offsets.length = 0;
    this.#hasTensorMaps = false;
    return this;
  }

  /** A device address or a 64-bit count. */
  pointer(value: number): this {
    const at = this.#place(8);
    this.#parameters.setUint32(at, value >>> 0, true);
    this.#parameters.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }

  int32(value: number): this {
    this.#parameters.setInt32(this.#place(4), value, true);
    return this;
  }

  float32(value: number): this {
    this.#parameters.setFloat32(this.#place(4), value, true);
    return this;
  }

  float64(value: number): this {
    this.#parameters.setFloat64(this.#place(8), value, true);
    return this;
  }

  /** A CUtensorMap by value, its tiles swizzled in 128 bytes; outside the matrix they are zero. */
  tensorMap({ address, rows, columns, tileRows, tileColumns }: MappedMatrix): this {
    const at = this.#place(tensorMapBytes, tensorMapAlignment);
    this.#hasTensorMaps = true;
    this.driver.cuTensorMapEncodeTiled(
      this.#memory + at,
      CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
      2,
      address,
      BigUint64Array.of(BigInt(columns), BigInt(rows)),
      BigUint64Array.of(BigInt(columns * 2)),
      Uint32Array.of(tileColumns, tileRows),
      Uint32Array.of(1, 1),
      CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
    );
    return this;
  }

  /**
   * Launches `name` of compilation unit `file` (see KernelCompiler.compile) with the parameters
   * given since `begin`. A grid with a zero launches nothing.
   */
  launch(
    file: string,
    name: string,
    { grid: [x, y = 1, z = 1], block, sharedBytes = 0, stream = 'compute' }: LaunchShape,
  ): void {
    const [list, extra] = this.#finish();
    if (x === 0 || y === 0 || z === 0) return;
    if (y > 65_535 || z > 65_535 || x >= 2 ** 31) {
      throw new DeviceError(
        'DEVICE_UNSUPPORTED',
        `cuda: ${name} over a grid of ${x} x ${y} x ${z}, limits 2147483647 x 65535 x 65535`,
      );
    }
    const handle = this.#function(file, name, sharedBytes);
    this.driver.cuLaunchKernel(
      handle,
      x,
      y,
      z,
      block,
      1,
      1,
      sharedBytes,
      this.streams.launchHandleOf(stream),
      list,
      extra,
    );
    this.streams.advance(stream);
  }

  close(): void {
    for (const handle of this.#modules.values()) this.driver.cuModuleUnload(handle);
    this.driver.cuMemFreeHost(this.#memory);
  }

  /** Where the next parameter goes. */
  #place(bytes: number, alignment = bytes): number {
    const at = Math.ceil(this.#cursor / alignment) * alignment;
    this.#offsets.push(at);
    this.#cursor = at + bytes;
    return at;
  }

  /**
   * Ends the parameter list: what the driver takes it from, either the list of addresses or the
   * buffer.
   */
  #finish(): readonly [list: number, extra: number] {
    const hasTensorMaps = this.#hasTensorMaps;
    if (hasTensorMaps) {
      for (const [index, at] of this.#offsets.entries())
        this.#list[index] = BigInt(this.#memory + at);
    } else {
      this.#extra[5] = BigInt(this.#cursor);
    }
    this.begin();
    return hasTensorMaps ? [this.#listAddress, 0] : [0, this.#extraAddress];
  }

  #function(file: string, name: string, sharedBytes: number): number {
    const key = `${file} ${name}`;
    let known = this.#functions.get(key);
    if (!known) {
      const cell = new Cell();
      this.driver.cuModuleGetFunction(cell.raw, this.#module(file), name);
      known = { handle: cell.value, sharedBytes: defaultSharedBytes };
      this.#functions.set(key, known);
    }
    if (sharedBytes > known.sharedBytes) {
      this.driver.cuFuncSetAttribute(
        known.handle,
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        sharedBytes,
      );
      known.sharedBytes = sharedBytes;
    }
    return known.handle;
  }

  #module(file: string): number {
    const known = this.#modules.get(file);
    if (known !== undefined) return known;
    this.streams.interruptRecording();
    const cell = new Cell();
    this.driver.cuModuleLoadData(cell.raw, this.compiler.compile(file));
    this.#modules.set(file, cell.value);
    return cell.value;
  }
}
