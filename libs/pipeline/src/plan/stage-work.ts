import type { DeviceRates, KernelName } from '@emloc/device';
import type { KernelWork, NullBackend } from '@emloc/device-null';

import type { StageName } from '../job/observer.js';

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
