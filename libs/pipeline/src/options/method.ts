import { invalidOption } from './checks.js';

/** On what a job trains: emulators, or the original with its weights paged or all on the device. */
export const methods = ['emulator', 'paged', 'resident'] as const;

export type Method = (typeof methods)[number];

/** Options that a method decides about. */
interface Decided {
  readonly method: Method | 'auto' | null;
  readonly ratios: readonly string[];
  readonly levels: string | null;
  readonly steps: number | null;
  readonly epochs: number | null;
  readonly refineSteps: number | null;
}

/** Whether a job is plain LoRA on the original, whatever its ratios. */
export function isPlain({ method }: Pick<Decided, 'method'>): boolean {
  return method === 'paged' || method === 'resident';
}

/**
 * Whether a plan has to say first what the job is: `auto`, or an emulator of which nothing is said.
 */
export function isUndecided(options: Decided): boolean {
  const { method, levels, steps, epochs, refineSteps } = options;
  if (method === 'auto') return true;
  const given = [bareRatio(options), levels, steps, epochs, refineSteps];
  return method === 'emulator' && given.every((value) => value === null);
}

/**
 * Refuses what a method leaves nothing to decide about.
 * @throws PipelineError PIPELINE_INVALID_OPTION naming the option
 */
export function assertMethod(options: Decided): void {
  const { method, ratios, levels, refineSteps } = options;
  if (method === null || method === 'emulator') return;
  const bare = bareRatio(options);
  const given = { ratios: isPlain(options) ? (ratios.at(0) ?? null) : bare, levels, refineSteps };
  const reason = isPlain(options) ? 'which has no emulator' : 'which decides it';
  for (const [name, value] of Object.entries(given))
    if (value !== null)
      throw invalidOption(name, value, `nothing beside method ${method}, ${reason},`);
}

/** Options of jobs that take every gradient on what they train on. */
export const withoutAnchors = Object.freeze({ anchorSteps: null, anchorRows: null });

/** The ratio of all layers that no pattern names; null: none is given. */
export function bareRatio({ ratios }: Pick<Decided, 'ratios'>): string | null {
  return ratios.find((ratio) => !ratio.includes('=')) ?? null;
}

/** Ratios of patterns alone, which go with levels. */
export function patternRatios({ ratios }: Pick<Decided, 'ratios'>): readonly string[] {
  return ratios.filter((ratio) => ratio.includes('='));
}
