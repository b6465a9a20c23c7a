import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeviceError } from '@emloc/device';

import { kernelKey, type KernelCache } from './kernel-cache.js';
import type { Nvrtc } from './native/nvrtc.js';
import { Cell } from './native/status.js';

const folder = new URL('../kernels/', import.meta.url);

/** Every kernel file of the package, without its ending. */
export function kernelFiles(): readonly string[] {
  return readdirSync(fileURLToPath(folder))
    .filter((file) => file.endsWith('.cu'))
    .map((file) => file.slice(0, -3))
    .sort();
}

/** A kernel file with its includes put in their place: NVRTC looks for no files. */
export function kernelSource(name: string): string {
  return read(`${name}.cu`).replace(/^#include "([\w.-]+)"$/gm, (_line, file: string) =>
    read(file),
  );
}

function read(file: string): string {
  return readFileSync(fileURLToPath(new URL(file, folder)), 'utf8');
}

/** Whether cards of this compute capability have Hopper's own matrix instructions. */
export function hasWgmma(capability: number): boolean {
  return capability === 90;
}

/**
 * What to compile for: machine code where NVRTC knows the card, else PTX for the newest it knows,
 * which the driver translates. On Hopper with what other cards lack.
 * @param capability 90 for compute capability 9.0
 */
export function targetOf(capability: number, supported: readonly number[]): string {
  if (supported.includes(capability)) return `sm_${capability}${hasWgmma(capability) ? 'a' : ''}`;
  const older = supported.filter((architecture) => architecture < capability);
  if (older.length === 0)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cuda: NVRTC cannot compile for compute capability ${capability / 10}`,
    );
  return `compute_${Math.max(...older)}`;
}

/** Compiles kernel files to what the driver loads; each is compiled once per machine. */
export class KernelCompiler {
  readonly #target: string;

  constructor(
    private readonly nvrtc: Nvrtc,
    private readonly version: string,
    capability: number,
    private readonly cache: KernelCache,
  ) {
    this.#target = targetOf(capability, supportedArchitectures(nvrtc));
  }

  /**
   * @param unit a kernel file, or one with a macro for the compiler: `attention:HEAD_WIDTH=128`
   * @throws DeviceError DEVICE_NATIVE_FAILURE with the compiler's log.
   */
  compile(unit: string): Uint8Array {
    const [name, ...macros] = unit.split(':') as [string, ...string[]];
    const source = kernelSource(name);
    const options = [
      '--std=c++17',
      `--gpu-architecture=${this.#target}`,
      ...macros.map((macro) => `--define-macro=${macro}`),
    ];
    const key = kernelKey([source, ...options, this.version]);
    const cached = this.cache.read(key);
    if (cached) return cached;
    const image = this.#compile(name, source, options);
    this.cache.write(key, image);
    return image;
  }

  #compile(name: string, source: string, options: readonly string[]): Uint8Array {
    const program = new Cell();
    this.nvrtc.nvrtcCreateProgram(program.raw, source, `${name}.cu`, 0, 0, 0);
    try {
      this.nvrtc.nvrtcCompileProgram(program.value, options.length, options);
      const kind = this.#target.startsWith('sm_') ? 'CUBIN' : 'PTX';
      const size = new Cell();
      this.nvrtc[`nvrtcGet${kind}Size`](program.value, size.raw);
      const image = new Uint8Array(size.value);
      this.nvrtc[`nvrtcGet${kind}`](program.value, image);
      return image;
    } catch (error) {
      throw new DeviceError(
        'DEVICE_NATIVE_FAILURE',
        `cuda: kernel file ${name}.cu: ${this.#log(program.value)}`,
        { cause: error },
      );
    } finally {
      this.nvrtc.nvrtcDestroyProgram(program.raw);
    }
  }

  #log(program: number): string {
    const size = new Cell();
    this.nvrtc.nvrtcGetProgramLogSize(program, size.raw);
    const log = Buffer.alloc(size.value);
    this.nvrtc.nvrtcGetProgramLog(program, log);
    return log.toString('utf8').replace(/\0+$/, '').trim();
  }
}

function supportedArchitectures(nvrtc: Nvrtc): readonly number[] {
  const count = new Cell();
  nvrtc.nvrtcGetNumSupportedArchs(count.raw);
  const architectures = new Int32Array(count.int32);
  nvrtc.nvrtcGetSupportedArchs(architectures);
  return [...architectures];
}
