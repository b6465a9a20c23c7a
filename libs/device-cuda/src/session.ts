import { type CudaCard, deviceOf, findCard, usedBytesByNvml } from './card.js';
import { KernelCompiler } from './compiler.js';
import type { CudaContext } from './context.js';
import { createKernelCache } from './kernel-cache.js';
import { Launcher } from './launcher.js';
import { type CudaLibraries, loadLibraries } from './libraries.js';
import { CudaMemoryPool } from './memory.js';
import { Cell } from './native/status.js';
import { conversionBytes, cublasWorkspaceBytes } from './profile.js';
import { Streams } from './streams.js';
import { Transfers } from './transfers.js';

/** What is taken on a card. */
export interface CardMemory {
  readonly totalBytes: number;
  /** By everybody. */
  readonly usedBytes: number;
  /** By this process, other processes' use assumed constant since the session was opened; null without NVML. */
  readonly ownBytes: number | null;
  /** By tensors' and workspaces' pages. */
  readonly arenaBytes: number;
}

export interface SessionOptions {
  readonly ordinal: number;
  readonly arenaBytes: (freeBytes: number) => number;
  readonly kernelCacheFolder?: string;
}

/** The context that the calling thread has made current; a process with two cards changes it. */
let current: CudaSession | null = null;

/** An open card: context, libraries' handles, streams and memory, closed in reverse order. */
export class CudaSession {
  readonly context: CudaContext;
  readonly #usedBefore: number | null;
  readonly #contextHandle: number;
  readonly #device: number;
  readonly #fixed: number;
  #isClosed = false;

  private constructor(readonly card: CudaCard, readonly libraries: CudaLibraries, { arenaBytes, kernelCacheFolder }: SessionOptions) {
    const { driver, nvml } = libraries;
    this.#usedBefore = usedBytesByNvml(driver, nvml, card.ordinal);
    this.#device = deviceOf(driver, card.ordinal);
    const cell = new Cell();
    driver.cuDevicePrimaryCtxRetain(cell.raw, this.#device);
    this.#contextHandle = cell.value;
    this.activate();
    driver.cuMemAlloc(cell.raw, cublasWorkspaceBytes + 2 * conversionBytes);
    this.#fixed = cell.value;
    this.context = this.#createContext(arenaBytes, kernelCacheFolder);
  }

  static open(options: SessionOptions): CudaSession {
    const libraries = loadLibraries();
    return new CudaSession(findCard(libraries.driver, options.ordinal), libraries, options);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Makes this card's context the calling thread's; every entry point calls it. */
  activate(): void {
    if (current === this) return;
    this.libraries.driver.cuCtxSetCurrent(this.#contextHandle);
    current = this;
  }

  measureMemory(): CardMemory {
    this.activate();
    const [free, total] = [new Cell(), new Cell()];
    this.libraries.driver.cuMemGetInfo(free.raw, total.raw);
    const now = usedBytesByNvml(this.libraries.driver, this.libraries.nvml, this.card.ordinal);
    return {
      totalBytes: total.value,
      usedBytes: total.value - free.value,
      ownBytes: now === null || this.#usedBefore === null ? null : now - this.#usedBefore,
      arenaBytes: this.context.pool.physicalBytes,
    };
  }

  close(): void {
    this.activate();
    this.#isClosed = true;
    const { driver, cublas, cusolver } = this.libraries;
    cusolver.cusolverDnDestroy(this.context.cusolver.handle);
    cublas.cublasDestroy(this.context.cublas.handle);
    this.context.transfers.close();
    this.context.launcher.close();
    this.context.pool.close();
    driver.cuMemFree(this.#fixed);
    this.context.streams.close();
    driver.cuCtxSetCurrent(0);
    driver.cuDevicePrimaryCtxRelease(this.#device);
    current = null;
  }

  #createContext(capacityOf: (freeBytes: number) => number, kernelCacheFolder: string | undefined): CudaContext {
    const { driver, nvrtc, nvrtcVersion } = this.libraries;
    const streams = new Streams(driver);
    const cublas = this.#createCublas(streams.handleOf('compute'));
    const cusolver = this.#createCusolver(streams.handleOf('compute'));
    const conversion = {
      compute: { address: this.#fixed + cublasWorkspaceBytes, bytes: conversionBytes },
      copy: { address: this.#fixed + cublasWorkspaceBytes + conversionBytes, bytes: conversionBytes },
    };
    const [free, total] = [new Cell(), new Cell()];
    driver.cuMemGetInfo(free.raw, total.raw);
    const pool = new CudaMemoryPool(driver, this.#device, capacityOf(free.value), streams, conversion.compute);
    const compiler = new KernelCompiler(nvrtc, nvrtcVersion, this.card.computeCapability, createKernelCache(kernelCacheFolder));
    const launcher = new Launcher(driver, compiler, streams);
    return { launcher, pool, streams, transfers: new Transfers(driver, streams, pool, launcher, conversion), cublas, cusolver };
  }

  #createCublas(stream: number): CudaContext['cublas'] {
    const { cublas } = this.libraries;
    const handle = new Cell();
    cublas.cublasCreate(handle.raw);
    cublas.cublasSetStream(handle.value, stream);
    // After the stream: setting the stream takes the default workspace back.
    cublas.cublasSetWorkspace(handle.value, this.#fixed, cublasWorkspaceBytes);
    return { calls: cublas, handle: handle.value };
  }

  #createCusolver(stream: number): CudaContext['cusolver'] {
    const { cusolver } = this.libraries;
    const handle = new Cell();
    cusolver.cusolverDnCreate(handle.raw);
    cusolver.cusolverDnSetStream(handle.value, stream);
    return { calls: cusolver, handle: handle.value };
  }
}
