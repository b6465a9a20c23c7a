import type { DeviceRates, KernelName } from '@emloc/device';
import type { KernelWork, NullBackend } from '@emloc/device-null';

import type { StagePart } from '../job/environment.js';
import type { StageName } from '../job/observer.js';

interface Snapshot {
  readonly work: ReadonlyMap<KernelName, KernelWork>;
  /** On the compute stream, and on the copies' own. */
  readonly uploadedBytes: number;
  readonly prefetchedBytes: number;
  readonly downloadedBytes: number;
}

/** What a stage did between two moments, of which the second ends a part of this kind. */
interface Span {
  readonly from: Snapshot;
  readonly to: Snapshot;
  readonly part: StagePart | null;
}

/** How often a stage that is not rehearsed in full has each part. */
export type PartCounts = Readonly<Record<StagePart, number>>;

/** Work that a null device counted, by the stage that asked for it. */
export class StageWork {
  readonly #spans = new Map<StageName, Span[]>();
  readonly #begun = new Set<StageName>();
  #backend: NullBackend | null = null;
  #from: Snapshot | null = null;

  /** A `StageClock` hook that books what `backend` counts between `enter` and `leave`. */
  record(backend: NullBackend): (turn: 'enter' | 'leave', stage: StageName) => void {
    this.#backend = backend;
    return (turn, stage) => {
      if (turn === 'leave') this.#end(stage, null);
      this.#from = snapshot(backend);
    };
  }

  /** Books what was counted since the part before as one of this kind. */
  readonly onPart = (stage: StageName, part: StagePart): void => {
    // With the first step goes what is done once.
    const isFirst = part === 'step' && !this.#begun.has(stage);
    this.#begun.add(stage);
    this.#end(stage, isFirst ? null : part);
  };

  /**
   * Time that a stage's work takes.
   * @param counts of the stage's parts; absent: as rehearsed
   * @param overlapsCopies whether what is copied ahead goes on beside everything else of a part
   */
  seconds(
    stage: StageName,
    rates: DeviceRates,
    { counts, overlapsCopies }: { readonly counts?: PartCounts; readonly overlapsCopies: boolean },
  ): number {
    return this.#sum(stage, counts, (span) => secondsOf(span, rates, overlapsCopies));
  }

  /** What a stage copies between host and device, and the time of that alone. */
  copies(
    stage: StageName,
    rates: DeviceRates,
    counts?: PartCounts,
  ): { readonly seconds: number; readonly uploadedBytes: number } {
    const uploadedBytes = this.#sum(stage, counts, uploadedIn);
    const downloadedBytes = this.#sum(
      stage,
      counts,
      ({ from, to }) => to.downloadedBytes - from.downloadedBytes,
    );
    const { uploadSecondsPerByte, downloadSecondsPerByte } = rates;
    const seconds = uploadedBytes * uploadSecondsPerByte + downloadedBytes * downloadSecondsPerByte;
    return { seconds, uploadedBytes };
  }

  #sum(stage: StageName, counts: PartCounts | undefined, of: (span: Span) => number): number {
    const spans = this.#of(stage);
    const total = (part: StagePart | null): number =>
      spans.filter((span) => span.part === part).reduce((sum, span) => sum + of(span), 0);
    const factor = (part: StagePart): number => {
      const rehearsed = spans.filter((span) => span.part === part).length;
      if (!counts || rehearsed === 0) return 1;
      // The first step is among what is done once.
      return Math.max(0, counts[part] - (part === 'step' ? 1 : 0)) / rehearsed;
    };
    return stageParts.reduce((sum, part) => sum + factor(part) * total(part), total(null));
  }

  /** Of an average step but the first; null: there is no other. */
  stepSeconds(stage: StageName, rates: DeviceRates, overlapsCopies: boolean): number | null {
    const steps = this.#of(stage).filter(({ part }) => part === 'step');
    if (steps.length === 0) return null;
    const seconds = steps.map((span) => secondsOf(span, rates, overlapsCopies));
    return seconds.reduce((sum, step) => sum + step, 0) / steps.length;
  }

  #end(stage: StageName, part: StagePart | null): void {
    const [backend, from] = [this.#backend, this.#from];
    if (!backend || !from) return;
    const to = snapshot(backend);
    this.#of(stage).push({ from, to, part });
    this.#from = to;
  }

  #of(stage: StageName): Span[] {
    const spans = this.#spans.get(stage) ?? [];
    this.#spans.set(stage, spans);
    return spans;
  }
}

const stageParts: readonly StagePart[] = ['step', 'validation', 'sample', 'change'];

function snapshot(backend: NullBackend): Snapshot {
  const { uploaded, downloaded } = backend.transferred;
  return {
    work: backend.work,
    uploadedBytes: uploaded.compute,
    prefetchedBytes: uploaded.copy,
    downloadedBytes: downloaded,
  };
}

function uploadedIn({ from, to }: Span): number {
  return to.uploadedBytes - from.uploadedBytes + to.prefetchedBytes - from.prefetchedBytes;
}

function secondsOf({ from, to }: Span, rates: DeviceRates, overlapsCopies: boolean): number {
  const copies = (to.prefetchedBytes - from.prefetchedBytes) * rates.uploadSecondsPerByte;
  const work = secondsAt(to, rates) - secondsAt(from, rates);
  return overlapsCopies ? Math.max(copies, work) : copies + work;
}

/** Without what is copied ahead. */
function secondsAt({ work, uploadedBytes, downloadedBytes }: Snapshot, rates: DeviceRates): number {
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
