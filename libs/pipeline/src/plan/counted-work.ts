import type { DeviceRates, KernelName } from '@emloc/device';
import type { KernelWork, NullBackend } from '@emloc/device-null';

/** What a null device has counted; sums and multiples of it are counts, too. */
export interface CountedWork {
  readonly work: ReadonlyMap<KernelName, KernelWork>;
  /** On the compute stream, and on the copies' own. */
  readonly uploadedBytes: number;
  readonly prefetchedBytes: number;
  readonly downloadedBytes: number;
  /** Launches of the host's, and those that were recorded. */
  readonly issued: number;
  readonly recorded: number;
}

export const noWork: CountedWork = Object.freeze({
  work: new Map(),
  uploadedBytes: 0,
  prefetchedBytes: 0,
  downloadedBytes: 0,
  issued: 0,
  recorded: 0,
});

const noKernelWork: KernelWork = Object.freeze({ calls: 0, flops: 0, bytes: 0, float64Flops: 0 });

/** Everything that a device has counted up to now. */
export function countedBy(backend: NullBackend): CountedWork {
  const { uploaded, downloaded } = backend.transferred;
  return {
    work: backend.work,
    uploadedBytes: uploaded.compute,
    prefetchedBytes: uploaded.copy,
    downloadedBytes: downloaded,
    ...backend.launches,
  };
}

/** a + times · b */
export function plus(a: CountedWork, b: CountedWork, times = 1): CountedWork {
  const work = new Map(a.work);
  for (const [kernel, more] of b.work) {
    const before = work.get(kernel) ?? noKernelWork;
    work.set(kernel, {
      calls: before.calls + times * more.calls,
      flops: before.flops + times * more.flops,
      bytes: before.bytes + times * more.bytes,
      float64Flops: before.float64Flops + times * more.float64Flops,
    });
  }
  return {
    work,
    uploadedBytes: a.uploadedBytes + times * b.uploadedBytes,
    prefetchedBytes: a.prefetchedBytes + times * b.prefetchedBytes,
    downloadedBytes: a.downloadedBytes + times * b.downloadedBytes,
    issued: a.issued + times * b.issued,
    recorded: a.recorded + times * b.recorded,
  };
}

/** @param overlapsCopies whether what is copied ahead goes on beside everything else */
export function secondsOf(
  counted: CountedWork,
  rates: DeviceRates,
  overlapsCopies: boolean,
): number {
  const copies = counted.prefetchedBytes * rates.uploadSecondsPerByte;
  const work = Math.max(secondsWithoutPrefetch(counted, rates), hostSeconds(counted, rates));
  return overlapsCopies ? Math.max(copies, work) : copies + work;
}

/** What launching takes the host, beside the device's work. */
function hostSeconds({ issued, recorded }: CountedWork, { launches }: DeviceRates): number {
  if (!launches) return 0;
  return issued * launches.secondsPerLaunch + recorded * launches.secondsPerRecordedLaunch;
}

function secondsWithoutPrefetch(
  { work, uploadedBytes, downloadedBytes }: CountedWork,
  rates: DeviceRates,
): number {
  let seconds =
    uploadedBytes * rates.uploadSecondsPerByte + downloadedBytes * rates.downloadSecondsPerByte;
  for (const [kernel, done] of work) {
    const rate = rates.kernels[kernel] ?? rates.otherwise;
    const { secondsPerFloat64Flop = rate.secondsPerFlop } = rate;
    seconds +=
      (done.flops - done.float64Flops) * rate.secondsPerFlop +
      done.float64Flops * secondsPerFloat64Flop +
      done.bytes * rate.secondsPerByte +
      done.calls * rate.secondsPerCall;
  }
  return seconds;
}
