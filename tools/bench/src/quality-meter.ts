import type { JobEvent, StageName, TuneReport } from '@emloc/pipeline';

import { median } from './gpu-table.js';

/** What a job trains on in one of its parts, and how many rows a step has there. */
export interface StepKind {
  /** Of the emulator; 1: the original. */
  readonly ratio: number;
  readonly rows: number;
}

/** Steps of one kind that a job made. */
interface StepPart extends StepKind {
  readonly stage: StageName;
  readonly steps: number;
  readonly tokens: number;
  /** Of the middle step; validations are not counted. */
  readonly stepSeconds: number;
}

/** What a job did, as far as it takes time. */
export interface JobWork {
  readonly steps: readonly StepPart[];
  /** Seconds of the stages that do not train. */
  readonly stages: Readonly<Record<string, number>>;
}

export type StepEvent = Extract<JobEvent, { readonly type: 'step' }>;

/** Steps of one kind while they are counted. */
interface Counted {
  readonly kind: StepKind;
  readonly stage: StageName;
  readonly seconds: number[];
  tokens: number;
}

/** Counts what a job does while it tells of it. */
export class QualityMeter {
  readonly #counted = new Map<string, Counted>();

  /** @param kindOf what a step is, which its event alone does not say */
  constructor(private readonly kindOf: (event: StepEvent) => StepKind) {}

  observe(event: JobEvent): void {
    if (event.type !== 'step') return;
    const kind = this.kindOf(event);
    const key = `${event.stage} ${kind.ratio} ${kind.rows}`;
    const counted = this.#counted.get(key) ?? { kind, stage: event.stage, seconds: [], tokens: 0 };
    counted.seconds.push(event.seconds);
    counted.tokens += event.tokens;
    this.#counted.set(key, counted);
  }

  workOf({ stages }: Pick<TuneReport, 'stages'>): JobWork {
    const others = stages.filter(({ name }) => name !== 'train' && name !== 'refine');
    return {
      steps: [...this.#counted.values()].map(({ kind, stage, seconds, tokens }) => ({
        ...{ ...kind, stage, tokens, steps: seconds.length },
        stepSeconds: median(seconds),
      })),
      stages: Object.fromEntries(others.map(({ name, seconds }) => [name, seconds])),
    };
  }
}

/** Passes over the original in training: for each, its weights are copied forward and back. */
export function passesOf({ steps }: JobWork): number {
  const passes = steps.filter(({ ratio }) => ratio === 1);
  return passes.reduce((sum, { steps: count }) => sum + count, 0);
}

/**
 * Arithmetic of all steps, in that of a token on the original: an emulator's linear layers take
 * their ratio of it, the head takes all of its own. Calibration, factors and what is computed twice
 * for want of memory are not counted.
 * @param headShare of the head's weights in those of head and linear layers
 */
export function tokenPassesOf({ steps }: JobWork, headShare: number): number {
  const share = (ratio: number): number => headShare + (1 - headShare) * ratio;
  return steps.reduce((sum, { ratio, tokens }) => sum + share(ratio) * tokens, 0);
}

/** What jobs took on one device over one link. */
export interface LinkTimes {
  /** GB/s that copies of weights were slowed to; null: they were not. */
  readonly linkGbps: number | null;
  readonly works: readonly JobWork[];
}

/**
 * Seconds of a job whose steps take what steps of their kinds took, and whose other stages, if it
 * has them, what those of a job with such stages took. null: a kind was not timed.
 */
export function secondsAt({ steps, stages }: JobWork, { works }: LinkTimes): number | null {
  const timed = works.flatMap((work) => work.steps);
  const staged = works.find((work) => Object.keys(work.stages).length > 0)?.stages ?? null;
  let seconds = 0;
  for (const { ratio, rows, steps: count } of steps) {
    const part = timed.find((each) => each.ratio === ratio && each.rows === rows);
    if (!part) return null;
    seconds += count * part.stepSeconds;
  }
  if (Object.keys(stages).length === 0) return seconds;
  return staged && Object.values(staged).reduce((sum, each) => sum + each, seconds);
}

/** A link in words. */
export function linkName(linkGbps: number | null): string {
  return linkGbps === null ? 'full link' : `${linkGbps} GB/s`;
}
