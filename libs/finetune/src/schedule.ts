export const scheduleKinds = ['cosine', 'linear', 'constant'] as const;

type ScheduleKind = (typeof scheduleKinds)[number];

export interface LearningRateSchedule {
  readonly kind: ScheduleKind;
  /** The peak learning rate. */
  readonly learningRate: number;
  readonly steps: number;
  /**
   * Share of the steps in which the rate rises linearly from 0; rounded up to whole steps, as
   * transformers does.
   */
  readonly warmupRatio: number;
}

/**
 * Learning rate of step `step` (0 for the first); of several schedules each begins where the one
 * before it has had its steps.
 */
export function learningRateAt(
  schedule: LearningRateSchedule | readonly LearningRateSchedule[],
  step: number,
): number {
  if ('kind' in schedule) return rateWithin(schedule, step);
  let start = 0;
  for (const [index, part] of schedule.entries()) {
    if (step < start + part.steps || index === schedule.length - 1)
      return rateWithin(part, step - start);
    start += part.steps;
  }
  throw new RangeError('a learning rate by no schedule');
}

/** As in transformers' get_*_schedule_with_warmup. */
function rateWithin(
  { kind, learningRate, steps, warmupRatio }: LearningRateSchedule,
  step: number,
): number {
  const warmup = Math.ceil(steps * warmupRatio);
  if (step < warmup) return learningRate * ((step + 1) / (warmup + 1));
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  switch (kind) {
    case 'constant':
      return learningRate;
    case 'linear':
      return learningRate * (1 - progress);
    case 'cosine':
      return learningRate * 0.5 * (1 + Math.cos(Math.PI * progress));
  }
}
