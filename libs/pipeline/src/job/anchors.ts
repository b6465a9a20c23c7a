import { batchesOf, countMicroBatches, type StepBatches } from '@emloc/finetune';

import { invalidOption } from '../options/checks.js';
import { dividedLevels, parseLevels } from '../options/levels.js';
import type { JobOptions, TrainingPlan } from './job.js';

/** Rows of an anchor where the options do not say: of 16 and 64 the better one. */
const defaultAnchorRows = 64;

/**
 * A job's training with its anchors: the first step of each level, whose emulator is another, and
 * every so manieth after it. An anchor's rows are those of its step and of the steps after it, or
 * near the end of a level of steps before it, in whole micro-batches but for the last one: so no
 * batch is of a size that the run does not have without anchors.
 * @param isEmulated whether there is something that differs from the original
 * @throws PipelineError PIPELINE_INVALID_OPTION where there is nothing to anchor
 */
export function anchoredTraining(
  plan: TrainingPlan,
  options: Pick<JobOptions, 'anchorSteps' | 'anchorRows' | 'levels'>,
  isEmulated: boolean,
): TrainingPlan {
  const { anchorSteps: everySteps } = options;
  if (everySteps === null) return plan;
  if (!isEmulated)
    throw invalidOption(
      'anchorSteps',
      everySteps,
      'no option anchorSteps where no layer is emulated,',
    );
  const spans = spansOf(plan.batches.length, options.levels);
  const rows = options.anchorRows ?? defaultAnchorRows;
  const batches = new AnchoredBatches(plan.batches, { spans, everySteps, rows });
  const isAnchor = (step: number): boolean => batches.isAnchor(step);
  const anchors = { rows, count: batches.count, own: plan.batches, isAnchor };
  return { ...plan, batches, anchors };
}

/** Steps on one emulator. */
interface Span {
  readonly start: number;
  /** The first step behind it. */
  readonly end: number;
}

function spansOf(steps: number, levels: string | null): readonly Span[] {
  if (levels === null) return [{ start: 0, end: steps }];
  const { emulated } = dividedLevels(parseLevels('levels', levels));
  let start = 0;
  return emulated.map((level) => {
    const span = { start, end: start + level.steps };
    start = span.end;
    return span;
  });
}

interface AnchoredRows {
  readonly spans: readonly Span[];
  readonly everySteps: number;
  readonly rows: number;
}

type Batches = readonly (readonly number[])[];

/** The steps of a run, of which anchors have more rows. */
class AnchoredBatches implements StepBatches {
  readonly length: number;
  readonly covering?: number;

  constructor(
    private readonly own: StepBatches,
    private readonly anchored: AnchoredRows,
  ) {
    this.length = own.length;
    if (own.covering !== undefined) this.covering = own.covering;
  }

  /** How many anchors there are. */
  get count(): number {
    return this.#anchorsBefore(this.length).length;
  }

  isAnchor(step: number): boolean {
    return this.#spanOf(step) !== undefined;
  }

  at(step: number): Batches | undefined {
    const span = this.#spanOf(step);
    const batches = this.own.at(step);
    return span && batches ? this.#rowsAt(step, span) : batches;
  }

  microBatchesBefore(step: number): number {
    const own = countMicroBatches(this.own, 0) - countMicroBatches(this.own, step);
    return this.#anchorsBefore(step).reduce(
      (sum, anchor) => sum + batchesOf(this, anchor).length - batchesOf(this.own, anchor).length,
      own,
    );
  }

  /** Of an anchor; undefined: the step is none. */
  #spanOf(step: number): Span | undefined {
    const { spans, everySteps } = this.anchored;
    return spans.find(
      ({ start, end }) => start <= step && step < end && (step - start) % everySteps === 0,
    );
  }

  #anchorsBefore(step: number): readonly number[] {
    const { spans, everySteps } = this.anchored;
    const anchors: number[] = [];
    for (const { start, end } of spans)
      for (let anchor = start; anchor < Math.min(end, step); anchor += everySteps)
        anchors.push(anchor);
    return anchors;
  }

  #rowsAt(step: number, { start, end }: Span): Batches {
    const taken: (readonly number[])[] = [...batchesOf(this.own, step)];
    let missing = this.anchored.rows - taken.reduce((sum, { length }) => sum + length, 0);
    for (let next = 1; next < end - start && missing > 0; next += 1) {
      // Behind the last step those before this one follow, the nearest first.
      const other = step + next < end ? step + next : end - 1 - next;
      for (const batch of batchesOf(this.own, other)) {
        if (missing <= 0) break;
        taken.push(batch.slice(0, missing));
        missing -= batch.length;
      }
    }
    return taken;
  }
}
