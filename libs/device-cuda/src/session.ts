import { BiasedProducts } from './biased-products.js';
import { deviceOf, findCard, usedBytesByNvml, type CudaCard } from './card.js';
import { hasWgmma, KernelCompiler } from './compiler.js';
import type { CudaContext } from './context.js';
import { createKernelCache } from './kernel-cache.js';
import { Launcher } from './launcher.js';
import { loadLibraries, type CudaLibraries } from './libraries.js';
import { CudaMemoryPool } from './memory.js';
import { Cell } from './native/status.js';
import { PinnedMemory } from './pinned-memory.js';
import { conversionBytes, cublasWorkspaceBytes } from './profile.js';
import { SlowLink } from './slow-link.js';
import { Streams } from './streams.js';
import { Transfers } from './transfers.js';

/** What is taken on a card. */
export interface CardMemory {
  readonly totalBytes: number;
  /** By everybody. */
  readonly usedBytes: number;
  /**
   * By this process, other processes' use assumed constant since it first opened the card; null
   * without NVML.
   */
  readonly ownBytes: number | null;
  /** By tensors' and workspaces' pages. */
  readonly arenaBytes: number;
  /** What opening the card took, part by part. */
  readonly overhead: Readonly<Record<'context' | 'buffers' | 'cublas' | 'cusolver', number>>;
}

export interface SessionOptions {
  readonly ordinal: number;
  readonly arenaBytes: (freeBytes: number) => number;
  readonly kernelCacheFolder?: string;
  readonly onAllocate?: (bytes: number) => void;
  readonly useWgmma: boolean;
  /** See CudaBackendOptions. */
  readonly linkBytesPerSecond?: number;
}

/**
 * Use of a card by ordinal before this process first touched it: libraries keep memory after a
 * session is closed.
 */
const usedBeforeFirstSession = new Map<number, number | null>();

/** The context that the calling thread has made current; a process with two cards changes it. */
let currentContext = 0;

/** An open card: context, libraries' handles, streams and memory, closed in reverse order. */
export class CudaSession {
  readonly context: CudaContext;
  readonly #overhead: CardMemory['overhead'];
  readonly #contextHandle: number;
  readonly #device: number;
  readonly #fixed: number;
  #isClosed = false;

  private constructor(
    readonly card: CudaCard,
    readonly libraries: CudaLibraries,
    options: SessionOptions,
  ) {
    const { driver, nvml } = libraries;
    if (!usedBeforeFirstSession.has(card.ordinal))
      usedBeforeFirstSession.set(card.ordinal, usedBytesByNvml(driver, nvml, card.ordinal));
    this.#device = deviceOf(driver, card.ordinal);
    const cell = new Cell();
    driver.cuDevicePrimaryCtxRetain(cell.raw, this.#device);
    this.#contextHandle = cell.value;
    this.activate();
    const atStart = this.#usedBytes();
    driver.cuMemAlloc(cell.raw, cublasWorkspaceBytes + 2 * conversionBytes);
    this.#fixed = cell.value;
    const withBuffers = this.#usedBytes();
    const streams = new Streams(driver);
    const cublas = this.#createCublas(streams.handleOf('compute'));
    const withCublas = this.#usedBytes();
    const cusolver = this.#createCusolver(streams.handleOf('compute'));
    const withCusolver = this.#usedBytes();
    const buffers = withBuffers - atStart;
    const cublasBytes = withCublas - withBuffers;
    const cusolverBytes = withCusolver - withCublas;
    const context = (this.#ownBytes() ?? this.#usedBytes()) - buffers - cublasBytes - cusolverBytes;
    this.#overhead = { context, buffers, cublas: cublasBytes, cusolver: cusolverBytes };
    this.context = {
      streams,
      cublas,
      biasedProducts: new BiasedProducts({
        ...{ calls: libraries.cublasLt, handle: cublas.handle, streams },
        workspace: { address: this.#fixed, bytes: cublasWorkspaceBytes },
      }),
      cusolver,
      hasWgmma: options.useWgmma && hasWgmma(card.computeCapability),
      ...this.#createMemory(streams, options),
    };
  }

  static open(options: SessionOptions): CudaSession {
    const libraries = loadLibraries();
    const card = findCard(libraries.driver, options.ordinal);
    try {
      return new CudaSession(card, libraries, options);
    } catch (error) {
      // The context takes everything with it that was allocated in it.
      currentContext = 0;
      libraries.driver.cuDevicePrimaryCtxRelease(deviceOf(libraries.driver, options.ordinal));
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Makes this card's context the calling thread's; every entry point calls it. */
  activate(): void {
    if (currentContext === this.#contextHandle) return;
    this.libraries.driver.cuCtxSetCurrent(this.#contextHandle);
    currentContext = this.#contextHandle;
  }

  measureMemory(): CardMemory {
    this.activate();
    const { free, total } = this.#memoryInfo();
    return {
      totalBytes: total,
      usedBytes: total - free,
      ownBytes: this.#ownBytes(),
      arenaBytes: this.context.pool.physicalBytes,
      overhead: this.#overhead,
    };
  }

  close(): void {
    this.activate();
    this.#isClosed = true;
    const { driver, cublas, cusolver } = this.libraries;
    cusolver.cusolverDnDestroy(this.context.cusolver.handle);
    this.context.biasedProducts.close();
    cublas.cublasDestroy(this.context.cublas.handle);
    this.context.transfers.close();
    this.context.launcher.close();
    this.context.pool.close();
    driver.cuMemFree(this.#fixed);
    this.context.streams.close();
    driver.cuCtxSetCurrent(0);
    driver.cuDevicePrimaryCtxRelease(this.#device);
    currentContext = 0;
  }

  #createMemory(
    streams: Streams,
    { arenaBytes, kernelCacheFolder, onAllocate, linkBytesPerSecond }: SessionOptions,
  ): Pick<CudaContext, 'launcher' | 'pool' | 'transfers'> {
    const { driver, nvrtc, nvrtcVersion } = this.libraries;
    const conversion = {
      compute: { address: this.#fixed + cublasWorkspaceBytes, bytes: conversionBytes },
      copy: {
        address: this.#fixed + cublasWorkspaceBytes + conversionBytes,
        bytes: conversionBytes,
      },
    };
    const { free } = this.#memoryInfo();
    const pool = new CudaMemoryPool(driver, this.#device, {
      extentBytes: arenaBytes(free),
      streams,
      bounce: conversion.compute,
      onAllocate,
    });
    const compiler = new KernelCompiler(
      nvrtc,
      nvrtcVersion,
      this.card.computeCapability,
      createKernelCache(kernelCacheFolder),
    );
    const launcher = new Launcher(driver, compiler, streams);
    const pinned = new PinnedMemory(driver, this.libraries.libc);
    const slowLink =
      linkBytesPerSecond === undefined ? null : new SlowLink(driver, launcher, linkBytesPerSecond);
    return {
      launcher,
      pool,
      transfers: new Transfers(driver, streams, pool, launcher, { conversion, pinned, slowLink }),
    };
  }

  #memoryInfo(): { readonly free: number; readonly total: number } {
    const [free, total] = [new Cell(), new Cell()];
    this.libraries.driver.cuMemGetInfo(free.raw, total.raw);
    return { free: free.value, total: total.value };
  }

  #ownBytes(): number | null {
    const now = usedBytesByNvml(this.libraries.driver, this.libraries.nvml, this.card.ordinal);
    const before = usedBeforeFirstSession.get(this.card.ordinal) ?? null;
    return now === null || before === null ? null : now - before;
  }

  #usedBytes(): number {
    const { free, total } = this.#memoryInfo();
    return total - free;
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
