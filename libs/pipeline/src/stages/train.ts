import { at, last } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import {
  defaultAdamw,
  defaultProdigy,
  train,
  type CarriedOptimizer,
  type PagedModel,
  type TrainingPause,
  type TrainResult,
} from '@emloc/finetune';
import type { Score } from '@emloc/tasks';
import type { Pager } from '@emloc/weight-pager';

import { anchoredHostBytes, openAnchorPager, openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';
import type { TrainingPlan } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import { roundedTokens } from '../job/rounded-tokens.js';
import type { TunedOutcome } from '../job/stage-outcomes.js';
import { isHeldOriginal, trainedOriginal } from '../job/storage.js';
import type { TrainingCourse } from '../job/training-course.js';
import type { StageProgress, ValidatedState } from '../job/training-store.js';
import { zeroLayersNotice } from './adapter-values.js';
import { LevelPager } from './level-pager.js';
import { pausesOf } from './pauses.js';
import { scoreOnOriginal } from './score-original.js';
import { StageEnding } from './stage-ending.js';
import { changingPause, samplingPause, validatingPause } from './stage-pauses.js';
import { StageValidator } from './stage-validator.js';
import { StepMeter } from './step-meter.js';
import { tellBegun } from './tell-begun.js';
import { levelOf, stepsOf, type StageSteps, type TrainedLevel } from './training-steps.js';
import { Validations } from './validations.js';

export interface TrainStageInputs {
  readonly stage: Extract<StageName, 'train' | 'refine'>;
  /** One after another, with adapter and optimizer kept; one: all steps are its. */
  readonly levels: readonly TrainedLevel[];
  readonly adapter: LoraAdapter;
  readonly plan: TrainingPlan;
  /** What the optimizer goes on with; null or absent: nothing. */
  readonly carried?: CarriedOptimizer | null;
  /** Whether the model without an adapter is scored first. */
  readonly evaluateBefore: boolean;
}

/**
 * Trains on a model (emulator, its levels, or original) within the phase's share of the budget and
 * scores the result on the validation split; where the job validates during training, the result is
 * the best of the states that were validated. Between levels it is validated in any case, and the
 * best state of a level goes on. Goes on from the state that the environment's training store has,
 * and keeps its own there. A run whose numbers cease to be finite ends there.
 * @throws FinetuneError FINETUNE_NON_FINITE where nothing can be kept of it
 */
export async function runTrainStage(run: JobRun, inputs: TrainStageInputs): Promise<TunedOutcome> {
  const { environment } = run;
  const { stage, levels, plan } = inputs;
  using _stage = environment.clock.during(stage);
  environment.clock.enter(stage);
  const progress = await environment.training.load(stage);
  const steps = stepsOf(run, plan, levels);
  tellBegun(run, stage, { progress, ends: steps.ends });
  const host = hostOf(run, inputs);
  await using pager = new LevelPager(
    levels.map(({ source }) => source),
    levelOf(steps.ends, progress?.state.step ?? 0),
    (source) => openModelPager(environment, source, stage, { hostBytes: host?.ofEmulator }),
  );
  await using original =
    host && openAnchorPager(environment, trainedOriginal(run.job), { hostBytes: host.ofOriginal });
  return await new TrainStage(run, inputs, { pager, original, steps, progress }).run();
}

/** Where the original is paged beside the emulator; null: there are no anchors. */
function hostOf({ job, environment }: JobRun, { plan, levels }: TrainStageInputs) {
  if (!plan.anchors) return null;
  const { source: emulator } = last(levels);
  return anchoredHostBytes(environment, { emulator, original: trainedOriginal(job) });
}

function modelOf({ job, environment }: JobRun, levels: readonly TrainedLevel[], pager: LevelPager) {
  const ranks = levels.map(
    ({ emulated }) => new Map(emulated.map(({ path, rank }) => [path, rank])),
  );
  return {
    device: environment.device,
    layout: job.model.layout,
    pager,
    rankOf: (path: string): number | null => at(ranks, pager.level).get(path) ?? null,
    longestRow: job.longestRow,
  };
}

interface StageState {
  readonly pager: LevelPager;
  /** Of the original, for anchors; null: there are none. */
  readonly original: Pager | null;
  readonly steps: StageSteps;
  readonly progress: StageProgress | null;
}

class TrainStage {
  private readonly model: PagedModel;
  private readonly validator: StageValidator;

  constructor(
    private readonly context: JobRun,
    private readonly inputs: TrainStageInputs,
    private readonly state: StageState,
  ) {
    const { pager } = state;
    this.model = modelOf(context, inputs.levels, pager);
    this.validator = new StageValidator(context, { stage: inputs.stage, model: this.model, pager });
  }

  async run(): Promise<TunedOutcome> {
    const { stage } = this.inputs;
    const { progress } = this.state;
    if (progress) this.validator.notice(`${stage} goes on after step ${progress.state.step}`);
    const before = progress ? progress.before : await this.#scoreBefore();
    const validations = this.#validations(await this.#scoreOfStart(before), progress);
    const result = await this.#train({ before, validations, progress });
    const { adapter: _end, optimizer, divergence, ...numbers } = result;
    const ending = new StageEnding(stage, this.inputs.adapter, this.validator);
    const chosen = validations
      ? await ending.best(result, validations)
      : await ending.ended(result);
    const course = {
      curve: validations ? [...validations.curve] : null,
      chosenStep: chosen.step,
      divergence: divergence?.error.message ?? ending.notFinite(result),
      stoppedEarly:
        divergence === null &&
        this.#isOver(validations) &&
        result.steps < this.state.steps.batches.length,
    };
    if (validations && course.stoppedEarly) this.#tellOfPatience(result, validations);
    if (stage === 'train') this.#tellOf(chosen, course);
    return {
      ...numbers,
      ...{ adapter: chosen.adapter, course },
      ...(await this.#scoresThatCount(before, chosen)),
      secondMoments: optimizer?.prodigy ? null : (optimizer?.secondMoments ?? null),
    };
  }

  /**
   * Of the original with its own weights, where these were held in other numbers while it was
   * trained on.
   */
  async #scoresThatCount(
    before: Score | null,
    { adapter, score: after }: ValidatedState,
  ): Promise<Pick<TunedOutcome, 'before' | 'after'>> {
    const { stage, levels, evaluateBefore } = this.inputs;
    const { job } = this.context;
    const isLost = this.validator.isReal && Number.isNaN(after.loss);
    if (isLost || !isHeldOriginal(job, last(levels).emulated)) return { before, after };
    await this.state.pager.close();
    const adapters = evaluateBefore ? [null, adapter] : [adapter];
    const scores = await scoreOnOriginal(this.context, { stage, adapters });
    const { storage } = job.options;
    if (this.validator.isReal)
      this.validator.notice(
        `${stage}: validation loss ${last(scores).loss.toFixed(4)} on the original's own weights, ` +
          `${after.loss.toFixed(4)} on those that ${storage} holds`,
      );
    return { before: evaluateBefore ? at(scores, 0) : before, after: last(scores) };
  }

  get #hasLevels(): boolean {
    return this.inputs.levels.length > 1;
  }

  /** What the owner should know of the result. */
  #tellOf({ adapter, step }: ValidatedState, { divergence }: TrainingCourse): void {
    const notice = this.validator.isReal ? zeroLayersNotice(adapter) : null;
    if (notice !== null) this.validator.notice(`train: ${notice}`);
    if (divergence !== null)
      this.validator.notice(
        `training diverged (${divergence}): the adapter after step ${step} is kept`,
      );
  }

  async #scoreBefore(): Promise<Score | null> {
    const { evaluateBefore, adapter } = this.inputs;
    if (evaluateBefore) return this.validator.validate(null, 0);
    return this.#validatesDuring ? this.validator.validate(adapter, 0) : null;
  }

  /**
   * Of the adapter before the first step: a fresh one changes nothing. Needed where the best state
   * may be that one.
   */
  async #scoreOfStart(before: Score | null): Promise<Score | null> {
    const { start } = this.context.job;
    const { adapter, stage } = this.inputs;
    const isKnown = this.state.progress?.validations?.best ?? null;
    if (!this.#validatesDuring || start === null || stage !== 'train' || isKnown) return before;
    return this.validator.validate(adapter, 0);
  }

  get #validatesDuring(): boolean {
    return this.#hasLevels || this.context.job.options.evalSteps !== null;
  }

  /** null: the job validates at the end only. */
  #validations(score: Score | null, progress: StageProgress | null): Validations | null {
    if (!this.#validatesDuring || !score) return null;
    const { adapter } = this.inputs;
    const kept = progress?.validations ?? null;
    const validations = new Validations({ step: 0, score, adapter }, kept);
    if (!kept) this.validator.tell(0, score);
    return validations;
  }

  async #train({
    before,
    validations,
    progress,
  }: {
    before: Score | null;
    validations: Validations | null;
    progress: StageProgress | null;
  }): Promise<TrainResult> {
    const { job, environment } = this.context;
    const { stage, plan, adapter } = this.inputs;
    const { training } = environment;
    const { weightDecay, maxGradientNorm, loraPlusRatio, loraDropout, seed } = job.options;
    const optimizer =
      job.options.optimizer === 'prodigy' ? defaultProdigy : { ...defaultAdamw, loraPlusRatio };
    const { original } = this.state;
    const { rows, batches, isAnchor } = this.state.steps;
    const { carried = null, levels } = this.inputs;
    using meter = new StepMeter(environment.device.budget, () => this.#waited());
    return await train({
      ...{ model: this.model, adapter, rows, batches, carried },
      schedule: this.#hasLevels
        ? levels.map(({ steps }) => ({ ...plan.schedule, steps }))
        : plan.schedule,
      keepsOptimizer: stage === 'train' && job.levels !== null,
      optimizer: { ...optimizer, weightDecay, maxGradientNorm },
      anchors: original && { original: { ...this.model, pager: original }, isAnchor },
      keptBlocks: environment.memory[stage].keptBlocks,
      // Of the finest level at all of them: planning looks at no other.
      roundedTokens: roundedTokens(job, last(levels).emulated, environment.device.profile),
      dropout: loraDropout > 0 ? { probability: loraDropout, seed, run: stage } : null,
      resume: progress?.state ?? null,
      checkpoint: {
        everySteps: training.everySteps,
        save: (state) =>
          training.save(stage, { before, state, validations: validations?.kept ?? null }),
      },
      pause: pausesOf(
        [
          samplingPause(this.context, { stage, validator: this.validator, model: this.model }),
          ...(validations ? this.#validatedPauses(validations) : []),
        ],
        () => meter.restart(),
      ),
      isOver: () => this.#isOver(validations),
      onDivergence: 'end',
      onStep: (report) => {
        const { level } = this.validator;
        environment.observer({ type: 'step', stage, level, ...report, ...meter.take() });
        environment.onPart?.(stage, report.anchor ? 'anchor' : 'step');
      },
      signal: environment.signal,
    });
  }

  #validatedPauses(validations: Validations): readonly TrainingPause[] {
    const { pager, steps } = this.state;
    const { ends, batches } = steps;
    const paused = { stage: this.inputs.stage, validator: this.validator, validations, ends };
    return [
      validatingPause(this.context, { ...paused, steps: batches.length }),
      ...(this.#hasLevels ? [changingPause(this.context, { ...paused, pager })] : []),
    ];
  }

  /** Seconds in which weights were waited for. */
  #waited(): number {
    const { pager, original } = this.state;
    return pager.statistics.stallSeconds + (original?.statistics.stallSeconds ?? 0);
  }

  /** Whether patience has come to its end; a rehearsal, which learns nothing, has all steps. */
  #isOver(validations: Validations | null): boolean {
    const { patience } = this.context.job.options;
    return (
      this.validator.isReal &&
      validations !== null &&
      validations.withoutBetter >= (patience ?? Infinity)
    );
  }

  #tellOfPatience({ steps }: TrainResult, { best, withoutBetter }: Validations): void {
    const than = `${best.score.loss.toFixed(4)} after step ${best.step}`;
    this.validator.notice(
      `${this.inputs.stage} ends after step ${steps}: the last ${withoutBetter} validations were not better than ${than}`,
    );
  }
}
