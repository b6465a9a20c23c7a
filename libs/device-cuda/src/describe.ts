import { listCards, usedBytesByNvml, type CudaCard } from './card.js';
import { kernelCacheFolder } from './kernel-cache.js';
import { findToolkit, openDriver, openNvml, type LibraryReport } from './libraries.js';

/** What `emloc info --device cuda` prints. */
export interface CudaDescription {
  /** Whether a CUDA device can be had on this machine. */
  readonly available: boolean;
  /** Why not, naming the library or the card; null when available. */
  readonly problem: string | null;
  readonly libraries: readonly LibraryReport[];
  readonly cards: readonly CudaCard[];
  readonly kernelCacheFolder: string;
}

/** Looks for libraries and cards without taking memory on a card. Never throws. */
export function describeCuda(): CudaDescription {
  const { driver, report, version } = openDriver();
  const libraries = [report, ...findToolkit(version).reports];
  const broken = libraries.find(({ problem }) => problem);
  const cards = driver ? listCards(driver) : [];
  const problem = broken
    ? `${broken.name} ${broken.problem}`
    : cards.length === 0
      ? 'libcuda.so.1 sees no card'
      : null;
  return {
    available: problem === null,
    problem,
    libraries,
    cards,
    kernelCacheFolder: kernelCacheFolder(),
  };
}

/**
 * A function that tells what everybody together takes on a card now, in bytes, without taking
 * anything itself; null without driver and NVML.
 */
export function cardUsage(ordinal: number): (() => number | null) | null {
  const { driver } = openDriver();
  const nvml = driver && openNvml();
  return nvml && (() => usedBytesByNvml(driver, nvml, ordinal));
}

/** The card of a device name, `cuda` (the first) or `cuda:1`; null for other devices' names. */
export function cudaOrdinal(deviceName: string): number | null {
  const match = /^cuda(?::(\d+))?$/.exec(deviceName);
  return match ? Number(match[1] ?? 0) : null;
}
