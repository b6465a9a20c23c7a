import type { KernelName } from '@emloc/device';
import type { KernelWork, NullBackend } from '@emloc/device-null';

import type { StageName } from './observer.js';

/** What one kernel's work costs: the sum over flops, bytes and calls. */
export interface KernelRate {
  readonly secondsPerFlop: number;
  readonly secondsPerByte: number;
  readonly secondsPerCall: number;
}

/** How fast a device is, from `measureRates` or a data sheet. */
export interface DeviceRates {
  readonly kernels: Readonly<Partial<Record<KernelName, KernelRate>>>;
  /** For kernels without an entry. */
  readonly otherwise: KernelRate;
  readonly uploadSecondsPerByte: number;
  readonly downloadSecondsPerByte: number;
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
    kernels: { eigh: factorization, cholesky: factorization },
    otherwise,
    uploadSecondsPerByte: copy,
    downloadSecondsPerByte: copy,
  };
}

interface Snapshot {
  readonly work: ReadonlyMap<KernelName, KernelWork>;
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
}

/** Work that a null device counted, by the stage that asked for it. */
export class StageWork {
  readonly #spans = new Map<StageName, { from: Snapshot; to: Snapshot }[]>();

  /** A `StageClock` hook that books what `backend` counts between `enter` and `leave`. */
  record(backend: NullBackend): (turn: 'enter' | 'leave', stage: StageName) => void {
    let from = snapshot(backend);
    return (turn, stage) => {
      if (turn === 'enter') from = snapshot(backend);
      else
        this.#spans.set(stage, [
          ...(this.#spans.get(stage) ?? []),
          { from, to: snapshot(backend) },
        ]);
    };
  }

  /** Time that a stage's work takes, nothing overlapping. */
  seconds(stage: StageName, rates: DeviceRates): number {
    return (this.#spans.get(stage) ?? []).reduce(
      (sum, { from, to }) => sum + secondsAt(to, rates) - secondsAt(from, rates),
      0,
    );
  }
}

function snapshot(backend: NullBackend): Snapshot {
  const { uploaded, downloaded } = backend.transferred;
  return {
    work: backend.work,
    uploadedBytes: uploaded.compute + uploaded.copy,
    downloadedBytes: downloaded,
  };
}

function secondsAt({ work, uploadedBytes, downloadedBytes }: Snapshot, rates: DeviceRates): number {
  let seconds =
    uploadedBytes * rates.uploadSecondsPerByte + downloadedBytes * rates.downloadSecondsPerByte;
  for (const [kernel, done] of work) {
    const rate = rates.kernels[kernel] ?? rates.otherwise;
    seconds +=
      done.flops * rate.secondsPerFlop +
      done.bytes * rate.secondsPerByte +
      done.calls * rate.secondsPerCall;
  }
  return seconds;
}
