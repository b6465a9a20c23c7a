import type { KernelName } from './kernels/index.js';

/** What one kernel's work costs: the sum over flops, bytes and calls. */
export interface KernelRate {
  readonly secondsPerFlop: number;
  readonly secondsPerByte: number;
  readonly secondsPerCall: number;
  /** Of products in float64. Default: `secondsPerFlop`. */
  readonly secondsPerFloat64Flop?: number;
}

/** What launches take the host where a device works beside it. */
export interface LaunchRates {
  /** Of a launch by itself, with what a program does for it. */
  readonly secondsPerLaunch: number;
  /** Of recording one, beyond that. */
  readonly secondsPerRecordedLaunch: number;
}

/** How fast a device is, from `measureRates` or a data sheet. */
export interface DeviceRates {
  readonly kernels: Readonly<Partial<Record<KernelName, KernelRate>>>;
  /** For kernels without an entry. */
  readonly otherwise: KernelRate;
  /** Beside which kernels go on. Absent: their calls have all that launches take. */
  readonly launches?: LaunchRates;
  readonly uploadSecondsPerByte: number;
  readonly downloadSecondsPerByte: number;
  /** Of host memory that is copied from for the first time. Absent: it takes no time. */
  readonly lockSecondsPerByte?: number;
}

/**
 * Rates from a data sheet's figures; a kernel takes the sum of its arithmetic, its traffic and its
 * launch.
 */
export function roughRates(figures: {
  readonly flopsPerSecond: number;
  readonly factorizationFlopsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly copyBytesPerSecond: number;
  readonly secondsPerLaunch: number;
}): DeviceRates {
  const otherwise = {
    secondsPerFlop: 1 / figures.flopsPerSecond,
    secondsPerByte: 1 / figures.bytesPerSecond,
    secondsPerCall: figures.secondsPerLaunch,
  };
  const factorization = { ...otherwise, secondsPerFlop: 1 / figures.factorizationFlopsPerSecond };
  const copy = 1 / figures.copyBytesPerSecond;
  return {
    kernels: { eigh: factorization, cholesky: factorization, solveTriangular: otherwise },
    otherwise,
    uploadSecondsPerByte: copy,
    downloadSecondsPerByte: copy,
  };
}
