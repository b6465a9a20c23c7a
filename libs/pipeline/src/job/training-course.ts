import { hasFields } from '../records/tensor-record.js';

/** A validation loss after so many steps, 0 before the first. */
export interface ValidationPoint {
  readonly step: number;
  readonly loss: number;
}

/** How a training run went. */
export interface TrainingCourse {
  /** From the start to the end, in order; null: validation during training was not asked for. */
  readonly curve: readonly ValidationPoint[] | null;
  /** Steps that the adapter which goes on has behind it. */
  readonly chosenStep: number;
  /** What was not finite, and where, so that the run ended there; null: nothing. */
  readonly divergence: string | null;
  /** Whether patience ended the run before its last step. */
  readonly stoppedEarly: boolean;
}

/**
 * What a job came to: `worse` than the base model on the validation rows, where the best validated
 * state is written also one that ended worse than it began, or never was better.
 */
export type Ending = 'sound' | 'worse' | 'diverged';

/**
 * @param losses.base of the base model on the validation rows
 * @param losses.final of the base model with the job's adapter
 */
export function endingOf(
  { curve, divergence, stoppedEarly }: TrainingCourse,
  { base, final }: { readonly base: number; readonly final: number },
): Ending {
  if (divergence !== null) return 'diverged';
  if (!(final <= base)) return 'worse';
  if (!curve) return 'sound';
  const [start, end] = [curve.at(0)?.loss ?? Number.NaN, curve.at(-1)?.loss ?? Number.NaN];
  // A run that patience ends has a worse end than its best by what it was asked for.
  return final < base && (stoppedEarly || end <= start) ? 'sound' : 'worse';
}

/** What is said of a job that did not end well; null: nothing. */
export function endingNotice(
  ending: Ending,
  { base, final }: { readonly base: number; readonly final: number },
): string | null {
  const losses = `validation loss ${final.toFixed(4)}, the base model's is ${base.toFixed(4)}`;
  switch (ending) {
    case 'sound':
      return null;
    case 'diverged':
      return `training diverged: ${losses}`;
    case 'worse':
      return final <= base
        ? `training ended worse than the base model, or never better: ${losses}`
        : `the adapter is worse than the base model: ${losses}`;
  }
}

export function isCourse(value: unknown): value is TrainingCourse {
  if (!hasFields(value, { chosenStep: 'number', stoppedEarly: 'boolean' })) return false;
  const { curve, divergence } = value;
  return (
    (divergence === null || typeof divergence === 'string') && (curve === null || isCurve(curve))
  );
}

export function isCurve(value: unknown): value is readonly ValidationPoint[] {
  return (
    Array.isArray(value) &&
    value.every((point) => hasFields(point, { step: 'number', loss: 'number' }))
  );
}
