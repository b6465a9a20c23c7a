import { invalidOption } from './checks.js';
import { assertWeightCount } from './data-weights.js';
import type { OptionCommand } from './kinds.js';
import { assertMethod, bareRatio, isPlain, patternRatios } from './method.js';
import { optionsFor, type OptionsOf } from './table.js';

/** A whole fine-tuning job. */
export type TuneOptions = OptionsOf<'tune'>;

/** How a model is scored. */
export type EvaluateOptions = OptionsOf<'eval'>;

/** How a model answers a prompt. */
export type GenerateOptions = OptionsOf<'generate'>;

/** How a model answers in conversations. */
export type ChatOptions = OptionsOf<'chat'>;

/** `auto` scores the candidates on the validation split; a number is the λ of the correction. */
export type CorrectionChoice = TuneOptions['correction'];

/** Options as they are asked for: what is absent, undefined or null has its default. */
export type GivenOptions<C extends OptionCommand, Required extends keyof OptionsOf<C>> = {
  readonly [K in keyof OptionsOf<C>]?: OptionsOf<C>[K] | null | undefined;
} & Pick<OptionsOf<C>, Required>;

export const defaultTuneOptions = Object.freeze(
  defaultsOf('tune') as Omit<TuneOptions, 'model' | 'data' | 'out'>,
);

/** A job that can be resumed keeps its state after so many optimizer steps. */
export const defaultCheckpointSteps = 50;

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError; EmulatorError for a ratio
 */
export function resolveTuneOptions(
  options: GivenOptions<'tune', 'model' | 'data' | 'out'>,
): TuneOptions {
  const resolved = resolve('tune', options);
  assertMethod(resolved);
  assertWeightCount(resolved);
  if (resolved.levels !== null) assertOnlyLevels(resolved);
  assertPatience(resolved);
  assertLoraPlus(resolved);
  assertDora(resolved);
  assertAnchors(resolved);
  return resolved;
}

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError
 */
export function resolveEvaluateOptions(
  options: GivenOptions<'eval', 'model' | 'data'>,
): EvaluateOptions {
  return resolve('eval', options);
}

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError
 */
export function resolveGenerateOptions(
  options: GivenOptions<'generate', 'model' | 'prompt'>,
): GenerateOptions {
  return resolve('generate', options);
}

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError
 */
export function resolveChatOptions(options: GivenOptions<'chat', 'model'>): ChatOptions {
  return resolve('chat', options);
}

/**
 * Fills in the defaults and checks every value against its range. The result is frozen.
 * @throws PipelineError
 */
export function resolvePreviewOptions(
  options: GivenOptions<'data', 'model' | 'data'>,
): OptionsOf<'data'> {
  const resolved = resolve('data', options);
  assertWeightCount(resolved);
  return resolved;
}

/** The day of a moment in UTC, as `date` of a job that was given none. */
export function utcDay(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/**
 * Levels say themselves what other options would: no ratio for all layers, no steps, no epochs.
 * @throws PipelineError PIPELINE_INVALID_OPTION naming the option
 */
function assertOnlyLevels(options: TuneOptions): void {
  const { steps, epochs, refineSteps } = options;
  const decided = { ratios: bareRatio(options), steps, epochs, refineSteps };
  for (const [name, value] of Object.entries(decided))
    if (value !== null)
      throw invalidOption(name, value, 'nothing beside option levels, which decides it,');
}

/**
 * Patience is counted in validations on the way, on one model.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
function assertPatience({ patience, evalSteps, levels }: TuneOptions): void {
  if (patience === null) return;
  if (evalSteps === null) throw invalidOption('patience', patience, 'option evalSteps beside it');
  if (levels !== null)
    throw invalidOption('patience', patience, 'no option levels, whose steps are given,');
}

/**
 * Prodigy estimates one distance for all matrices, from which their one rate follows.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
function assertLoraPlus({ loraPlusRatio, optimizer }: TuneOptions): void {
  if (loraPlusRatio !== 1 && optimizer === 'prodigy')
    throw invalidOption(
      'loraPlusRatio',
      loraPlusRatio,
      'no option optimizer prodigy, which finds one rate for all matrices,',
    );
}

/**
 * No correction is known that moves a magnitude from an emulator to the original.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
function assertDora({ useDora, method }: Pick<TuneOptions, 'useDora' | 'method'>): void {
  if (useDora && !isPlain({ method }))
    throw invalidOption(
      'useDora',
      useDora,
      'option method paged or resident beside it, since DoRA has no correction for an emulator,',
    );
}

/**
 * Anchors correct an emulator.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
function assertAnchors({ anchorSteps, anchorRows, method, ratios, levels }: TuneOptions): void {
  if (anchorSteps === null) {
    if (anchorRows !== null)
      throw invalidOption('anchorRows', anchorRows, 'option anchorSteps beside it');
    return;
  }
  const refuse = (expected: string): never => {
    throw invalidOption('anchorSteps', anchorSteps, expected);
  };
  if (method !== null && method !== 'emulator')
    refuse(`method emulator, not ${method}, which has no emulator or leaves it open,`);
  const isOriginal = Number(bareRatio({ ratios })) === 1;
  if (levels === null && isOriginal && patternRatios({ ratios }).length === 0)
    refuse('a ratio below 1, which makes an emulator,');
}

/** What decides the bytes of a job's result, besides model and rows. */
export function decidingOptions(options: TuneOptions): Readonly<Record<string, unknown>> {
  const values: Readonly<Record<string, unknown>> = options;
  return Object.fromEntries(
    optionsFor('tune')
      .filter(({ decides }) => decides ?? true)
      .map(({ name }) => [name, values[name]]),
  );
}

function defaultsOf(command: OptionCommand): unknown {
  return Object.fromEntries(
    optionsFor(command).flatMap((option) =>
      option.default === undefined ? [] : [[option.name, option.default]],
    ),
  );
}

function resolve<C extends OptionCommand>(
  command: C,
  given: Readonly<Record<string, unknown>>,
): OptionsOf<C> {
  const resolved = optionsFor(command).map((option) => {
    const value = given[option.name] ?? option.default;
    if (value !== null) option.assert(option.name, value);
    return [option.name, Array.isArray(value) ? Object.freeze([...value]) : value] as const;
  });
  return Object.freeze(Object.fromEntries(resolved)) as OptionsOf<C>;
}
