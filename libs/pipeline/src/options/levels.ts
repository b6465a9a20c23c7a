import { invalidOption } from './checks.js';
import { mostCounted, mostSteps } from './limits.js';

/** A part of training: on an emulator of this ratio, or at 1 on the original. */
export interface Level {
  readonly ratio: number;
  /** Optimizer steps. */
  readonly steps: number;
  /** Rows per micro-batch; null: those of the job. */
  readonly batch: number | null;
}

const levelPattern = /^(\d+\.?\d*|\.\d+):(\d+)(?:x(\d+))?$/;

const form = 'RATIO:STEPS or RATIO:STEPSxROWS, with commas between levels';

/**
 * Levels from coarse to fine, such as `0.25:200,0.5:60,1:30x64`.
 * @throws PipelineError PIPELINE_INVALID_OPTION naming the option
 */
export function parseLevels(name: string, text: string): readonly Level[] {
  const levels = text.split(',').map((part): Level => {
    const [, ratio, steps, rows] = levelPattern.exec(part.trim()) ?? [];
    if (ratio === undefined || steps === undefined) throw invalidOption(name, text, form);
    return { ratio: Number(ratio), steps: Number(steps), batch: rows ? Number(rows) : null };
  });
  let before = 0;
  for (const { ratio, steps, batch } of levels) {
    if (!(ratio > before && ratio <= 1))
      throw invalidOption(name, text, 'ratios that rise, above 0 and at most 1,');
    if (!(steps >= 1)) throw invalidOption(name, text, 'at least 1 step in every level');
    if (batch !== null && !(batch >= 1 && batch <= mostCounted))
      throw invalidOption(name, text, `1 to ${mostCounted} rows of a batch`);
    before = ratio;
  }
  if (levels.at(0)?.ratio === 1)
    throw invalidOption(name, text, 'a level below 1 (--ratio 1 is training on the original)');
  if (stepsOf(levels) > mostSteps)
    throw invalidOption(name, text, `at most ${mostSteps} steps in all`);
  return levels;
}

/** Levels as `parseLevels` reads them. */
export function formatLevels(levels: readonly Level[]): string {
  const rows = (batch: number | null): string => (batch === null ? '' : `x${batch}`);
  return levels.map(({ ratio, steps, batch }) => `${ratio}:${steps}${rows(batch)}`).join(',');
}

/** Steps of all levels. */
export function stepsOf(levels: readonly Level[]): number {
  return levels.reduce((sum, { steps }) => sum + steps, 0);
}

/** Whether the last level is the original, on which the corrected adapter is trained. */
export function endsOnOriginal(text: string): boolean {
  return parseLevels('levels', text).at(-1)?.ratio === 1;
}

/** Levels on emulators, and that on the original, if there is one. */
export function dividedLevels(levels: readonly Level[]): {
  readonly emulated: readonly Level[];
  readonly original: Level | null;
} {
  return {
    emulated: levels.filter(({ ratio }) => ratio < 1),
    original: levels.find(({ ratio }) => ratio === 1) ?? null,
  };
}
