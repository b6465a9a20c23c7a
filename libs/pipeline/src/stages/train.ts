import { at, last } from '@emloc/checked';
import type { LoraAdapter } from '@emloc/checkpoint';
import {
  defaultAdamw,
  defaultProdigy,
  FinetuneError,
  train,
  type CarriedOptimizer,
  type DeviceAdapter,
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
import type { TunedOutcome } from '../job/stage-outcomes.js';
import { isHeldOriginal, trainedOriginal } from '../job/storage.js';
import type { TrainingCourse } from '../job/training-course.js';
import type { StageProgress, ValidatedState } from '../job/training-store.js';
import { isFiniteAdapter, zeroLayersNotice } from './adapter-values.js';
import { LevelPager } from './level-pager.js';
import { pausesOf } from './pauses.js';
import { scoreOnOriginal } from './score-original.js';
import { score } from './score.js';
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

  constructor(
    private readonly context: JobRun,
    private readonly inputs: TrainStageInputs,
    private readonly state: StageState,
  ) {
    this.model = modelOf(context, inputs.levels, state.pager);
  }

  async run(): Promise<TunedOutcome> {
    const { stage } = this.inputs;
    const { progress } = this.state;
    if (progress) this.#notice(`${stage} goes on after step ${progress.state.step}`);
    const before = progress ? progress.before : await this.#scoreBefore();
    const validations = this.#validations(await this.#scoreOfStart(before), progress);
    const result = await this.#train({ before, validations, progress });
    const { adapter: _end, optimizer, divergence, ...numbers } = result;
    const chosen = validations ? await this.#best(result, validations) : await this.#ended(result);
    const course = {
      curve: validations ? [...validations.curve] : null,
      chosenStep: chosen.step,
      divergence: divergence?.error.message ?? this.#notFinite(result),
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
    const isLost = this.#isReal && Number.isNaN(after.loss);
    if (isLost || !isHeldOriginal(job, last(levels).emulated)) return { before, after };
    await this.state.pager.close();
    const adapters = evaluateBefore ? [null, adapter] : [adapter];
    const scores = await scoreOnOriginal(this.context, { stage, adapters });
    const { storage } = job.options;
    if (this.#isReal)
      this.#notice(
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
    const notice = this.#isReal ? zeroLayersNotice(adapter) : null;
    if (notice !== null) this.#notice(`train: ${notice}`);
    if (divergence !== null)
      this.#notice(`training diverged (${divergence}): the adapter after step ${step} is kept`);
  }

  get #isReal(): boolean {
    return this.context.environment.reads === 'real';
  }

  #notice(message: string): void {
    this.context.environment.observer({ type: 'notice', message });
  }

  async #scoreBefore(): Promise<Score | null> {
    const { evaluateBefore, adapter } = this.inputs;
    if (evaluateBefore) return this.#validate(null, 0);
    return this.#validatesDuring ? this.#validate(adapter, 0) : null;
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
    return this.#validate(adapter, 0);
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
    if (!kept) this.#tell(0, score);
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
      dropout: loraDropout > 0 ? { probability: loraDropout, seed, run: stage } : null,
      resume: progress?.state ?? null,
      checkpoint: {
        everySteps: training.everySteps,
        save: (state) =>
          training.save(stage, { before, state, validations: validations?.kept ?? null }),
      },
      pause: pausesOf(
        [
          this.#sampling(),
          ...(validations ? [this.#validating(validations, batches.length)] : []),
          ...(validations && this.#hasLevels ? [this.#changing(validations)] : []),
        ],
        () => meter.restart(),
      ),
      isOver: () => this.#isOver(validations),
      onDivergence: 'end',
      onStep: (report) => {
        const level = this.#level;
        environment.observer({ type: 'step', stage, level, ...report, ...meter.take() });
        environment.onPart?.(stage, report.anchor ? 'anchor' : 'step');
      },
      signal: environment.signal,
    });
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
      this.#isReal && validations !== null && validations.withoutBetter >= (patience ?? Infinity)
    );
  }

  #tellOfPatience({ steps }: TrainResult, { best, withoutBetter }: Validations): void {
    const than = `${best.score.loss.toFixed(4)} after step ${best.step}`;
    this.#notice(
      `${this.inputs.stage} ends after step ${steps}: the last ${withoutBetter} validations were not better than ${than}`,
    );
  }

  /** Samples are of the model that is trained, as it is. A rehearsal has one. */
  #sampling(): TrainingPause {
    const { job, environment } = this.context;
    const { sampler } = job;
    const everySteps = sampler?.everySteps ?? null;
    const isAsked = this.inputs.stage === 'train' && sampler !== null && everySteps !== null;
    return {
      isDue: (step) => isAsked && (this.#isReal ? step % everySteps === 0 : step === 1),
      run: async (step, adapter) => {
        await sampler?.make(step, { model: this.model, adapter });
        environment.onPart?.('train', 'sample');
      },
    };
  }

  /** Between the start and the end, which are validated in any case. A rehearsal has one. */
  #validating(validations: Validations, steps: number): TrainingPause {
    const { job, environment } = this.context;
    const everySteps = job.options.evalSteps ?? Number.POSITIVE_INFINITY;
    const { ends } = this.state.steps;
    const isPlanned = (step: number): boolean =>
      step % everySteps === 0 && step < steps && !ends.includes(step);
    return {
      isDue: (step) =>
        this.#isReal
          ? isPlanned(step) && !validations.has(step)
          : job.options.evalSteps !== null && step === 1,
      run: async (step, adapter) => {
        await this.#add(validations, step, adapter);
        environment.onPart?.(this.inputs.stage, 'validation');
      },
    };
  }

  /** At the end of a level: its best state goes on, on the next level's model. */
  #changing(validations: Validations): TrainingPause {
    const { pager, steps } = this.state;
    const { ends } = steps;
    return {
      isDue: (step) => ends.slice(0, -1).includes(step),
      run: async (step, adapter) => {
        const level = ends.indexOf(step) + 1;
        if (!validations.has(step)) await this.#add(validations, step, adapter);
        const { best } = validations;
        await pager.change(level);
        adapter.replace(best.adapter);
        const there = await this.#validate(best.adapter, step);
        validations.restart(there);
        this.#notice(
          `${this.inputs.stage}: level ${level + 1} of ${ends.length} after step ${step}, validation loss ${there.loss.toFixed(4)}`,
        );
        this.context.environment.onPart?.(this.inputs.stage, 'change');
      },
    };
  }

  async #add(
    validations: Validations,
    step: number,
    adapter: LoraAdapter | DeviceAdapter,
  ): Promise<void> {
    const validated = await this.#validate(adapter, step);
    const host = async (): Promise<LoraAdapter> =>
      'layers' in adapter ? adapter : adapter.download();
    await validations.add(step, validated, host);
    this.#tell(step, validated);
  }

  #tell(step: number, { loss }: Score): void {
    const { stage } = this.inputs;
    if (this.#isReal)
      this.#notice(`${stage}: validation loss ${loss.toFixed(4)} after step ${step}`);
  }

  /** The best state of a run that has ended, which is validated last. */
  async #best(result: TrainResult, validations: Validations): Promise<ValidatedState> {
    this.#assertBegun(result);
    const { steps, adapter } = result;
    if (!validations.has(steps) && this.#isFinite(adapter))
      await this.#add(validations, steps, adapter);
    return validations.best;
  }

  /** The end of a run, or of one that cannot be kept, its start. */
  async #ended(result: TrainResult): Promise<ValidatedState> {
    this.#assertBegun(result);
    const { adapter, steps, divergence } = result;
    if (this.#isFinite(adapter))
      return { step: steps, adapter, score: await this.#validate(adapter, steps) };
    if (this.inputs.stage === 'train')
      throw divergence?.error ?? new FinetuneError('FINETUNE_NON_FINITE', notFinite(steps));
    return { step: 0, adapter: this.inputs.adapter, score: { loss: Number.NaN } };
  }

  /** A loss that is not finite before anything was learned is no matter of training. */
  #assertBegun({ steps, divergence }: TrainResult): void {
    const { stage } = this.inputs;
    if (stage === 'train' && steps === 0 && divergence && !Number.isFinite(divergence.loss))
      throw divergence.error;
  }

  #notFinite({ adapter, steps }: TrainResult): string | null {
    return this.#isFinite(adapter) ? null : notFinite(steps);
  }

  #isFinite(adapter: LoraAdapter): boolean {
    return !this.#isReal || isFiniteAdapter(adapter);
  }

  /** @param step how many the adapter has behind it */
  async #validate(adapter: LoraAdapter | DeviceAdapter | null, step: number): Promise<Score> {
    const { job, environment } = this.context;
    const { stage } = this.inputs;
    const [validated] = await score(environment, {
      ...{ model: this.model, stage, adapters: [adapter] },
      ...{ batches: job.validation, task: 'validating' },
    });
    if (!validated) throw new Error('evaluation gave no result');
    const { loss } = validated;
    environment.observer({ type: 'validation', stage, level: this.#level, step, loss });
    return validated;
  }

  /** As events have it. */
  get #level(): number {
    return this.state.pager.level + 1;
  }
}

function notFinite(steps: number): string {
  return `the adapter after step ${steps} has values that are not finite`;
}
