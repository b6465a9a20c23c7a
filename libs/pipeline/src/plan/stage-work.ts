import { last } from '@emloc/checked';
import type { DeviceRates } from '@emloc/device';
import type { NullBackend } from '@emloc/device-null';

import type { StagePart } from '../job/environment.js';
import type { StageName } from '../job/observer.js';
import { countedBy, noWork, plus, secondsOf, type CountedWork } from './counted-work.js';

/** What a stage did up to the end of a part of this kind. */
interface Span {
  readonly counted: CountedWork;
  readonly part: StagePart | null;
}

/** How often a stage that is not rehearsed in full has each part. */
export type PartCounts = Readonly<Record<StagePart, number>>;

/** Work that a null device counted, by the stage that asked for it. */
export class StageWork {
  readonly #spans = new Map<StageName, Span[]>();
  /** The part that what is done once goes with. */
  readonly #begun = new Map<StageName, StagePart>();
  #backend: NullBackend | null = null;
  /** What the device had counted when it was last looked at. */
  #from = noWork;
  /** Of the span that is going on. */
  #counted = noWork;

  /** A `StageClock` hook that books what `backend` counts between `enter` and `leave`. */
  record(backend: NullBackend): (turn: 'enter' | 'leave', stage: StageName) => void {
    this.#backend = backend;
    return (turn, stage) => {
      if (turn === 'leave') this.#end(stage, null);
      this.#from = countedBy(backend);
      this.#counted = noWork;
    };
  }

  /** Books what was counted since the part before as one of this kind. */
  readonly onPart = (stage: StageName, part: StagePart): void => {
    // With the first step goes what is done once.
    const isFirst = isStep(part) && !this.#begun.has(stage);
    if (isFirst) this.#begun.set(stage, part);
    this.#end(stage, isFirst ? null : part);
  };

  /** What was counted since the last such call, or the part before, counts so often. */
  readonly onTimes = (times: number): void => {
    if (!this.#backend) return;
    const to = countedBy(this.#backend);
    this.#counted = plus(plus(this.#counted, to, times), this.#from, -times);
    this.#from = to;
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
    return this.#sum(stage, counts, (counted) => secondsOf(counted, rates, overlapsCopies));
  }

  /** Time of what a stage does once, its first step among it. */
  onceSeconds(stage: StageName, rates: DeviceRates, overlapsCopies: boolean): number {
    return sumOf(
      this.#of(stage)
        .filter(({ part }) => part === null)
        .map(({ counted }) => secondsOf(counted, rates, overlapsCopies)),
    );
  }

  /**
   * What a stage copies between host and device, that of anchors apart, and the time of that alone.
   */
  copies(
    stage: StageName,
    rates: DeviceRates,
    counts?: PartCounts,
  ): {
    readonly seconds: number;
    readonly uploadedBytes: number;
    readonly anchorBytes: number;
  } {
    const uploadedBytes = this.#sum(stage, counts, uploadedIn);
    const anchorBytes = this.#sum(stage, counts, uploadedIn, ['anchor']);
    const downloadedBytes = this.#sum(stage, counts, ({ downloadedBytes: bytes }) => bytes);
    const { uploadSecondsPerByte, downloadSecondsPerByte } = rates;
    const seconds = uploadedBytes * uploadSecondsPerByte + downloadedBytes * downloadSecondsPerByte;
    return { seconds, uploadedBytes: uploadedBytes - anchorBytes, anchorBytes };
  }

  #sum(
    stage: StageName,
    counts: PartCounts | undefined,
    of: (counted: CountedWork) => number,
    /** null: all, and what is done once. */
    parts: readonly StagePart[] | null = null,
  ): number {
    const spans = this.#of(stage).map(({ part, counted }) => ({ part, value: of(counted) }));
    const total = (part: StagePart | null): number =>
      sumOf(spans.filter((span) => span.part === part).map(({ value }) => value));
    /** Of so many that are not rehearsed. */
    const others = (part: StagePart): number => {
      const rehearsed = spans.filter((span) => span.part === part).length;
      if (!counts || rehearsed === 0) return 0;
      // The first step is among what is done once.
      const count = Math.max(0, counts[part] - (part === this.#begun.get(stage) ? 1 : 0));
      return ((count - rehearsed) / rehearsed) * laterTotal(spans, part);
    };
    const once = parts === null ? total(null) : 0;
    return (parts ?? stageParts).reduce((sum, part) => sum + total(part) + others(part), once);
  }

  /** Of every step that was rehearsed but the first and anchors. */
  stepSeconds(stage: StageName, rates: DeviceRates, overlapsCopies: boolean): readonly number[] {
    return this.#of(stage)
      .filter(({ part }) => part === 'step')
      .map(({ counted }) => secondsOf(counted, rates, overlapsCopies));
  }

  #end(stage: StageName, part: StagePart | null): void {
    this.onTimes(1);
    this.#of(stage).push({ counted: this.#counted, part });
    this.#counted = noWork;
  }

  #of(stage: StageName): Span[] {
    const spans = this.#spans.get(stage) ?? [];
    this.#spans.set(stage, spans);
    return spans;
  }
}

const stageParts: readonly StagePart[] = ['step', 'anchor', 'validation', 'sample', 'change'];

/**
 * What all spans of a part would take if they were like the later half of them, level by level: at
 * first launches are made one by one that are later made as one.
 */
function laterTotal(
  spans: readonly { readonly part: StagePart | null; readonly value: number }[],
  part: StagePart,
): number {
  const levels: number[][] = [[]];
  for (const span of spans) {
    if (span.part === part) last(levels).push(span.value);
    if (span.part === 'change') levels.push([]);
  }
  return sumOf(
    levels.map((values) => {
      const later = values.slice(values.length >> 1);
      return (sumOf(later) * values.length) / Math.max(1, later.length);
    }),
  );
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function isStep(part: StagePart): boolean {
  return part === 'step' || part === 'anchor';
}

function uploadedIn({ uploadedBytes, prefetchedBytes }: CountedWork): number {
  return uploadedBytes + prefetchedBytes;
}
