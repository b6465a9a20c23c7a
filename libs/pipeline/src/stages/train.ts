import type { LoraAdapter } from '@emloc/checkpoint';
import {
  batchesOf,
  defaultAdamw,
  defaultProdigy,
  FinetuneError,
  train,
  type DeviceAdapter,
  type PagedModel,
  type StepBatches,
  type TrainingPause,
  type TrainResult,
} from '@emloc/finetune';
import type { RowSource } from '@emloc/models';
import type { Score } from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import { openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';
import type { TrainingPlan } from '../job/job.js';
import type { StageName } from '../job/observer.js';
import type { TunedOutcome } from '../job/stage-outcomes.js';
import type { TrainingCourse } from '../job/training-course.js';
import type { StageProgress, ValidatedState } from '../job/training-store.js';
import { heaviestRow, withHeaviest } from '../plan/supremum.js';
import { isFiniteAdapter, zeroLayersNotice } from './adapter-values.js';
import { score } from './score.js';
import { Validations } from './validations.js';

export interface TrainStageInputs {
  readonly stage: Extract<StageName, 'train' | 'refine'>;
  readonly source: LayerSource;
  readonly adapter: LoraAdapter;
  readonly plan: TrainingPlan;
  /** Whether the model without an adapter is scored first. */
  readonly evaluateBefore: boolean;
}

/**
 * Trains on a model (emulator or original) within the phase's share of the budget and scores the
 * result on the validation split; where the job validates during training, the result is the best
 * of the states that were validated. Goes on from the state that the environment's training store
 * has, and keeps its own there. A run whose numbers cease to be finite ends there.
 * @throws FinetuneError FINETUNE_NON_FINITE where nothing can be kept of it
 */
export async function runTrainStage(run: JobRun, inputs: TrainStageInputs): Promise<TunedOutcome> {
  const { environment } = run;
  const { stage, source } = inputs;
  using _stage = environment.clock.during(stage);
  environment.clock.enter(stage);
  await using pager = openModelPager(environment, source, stage);
  return await new TrainStage(run, inputs, modelOf(run, pager)).run();
}

function modelOf({ job, environment }: JobRun, pager: PagedModel['pager']): PagedModel {
  const ranks = new Map(job.emulated.map(({ path, rank }) => [path, rank]));
  return {
    device: environment.device,
    layout: job.model.layout,
    pager,
    rankOf: (path) => ranks.get(path) ?? null,
    longestRow: job.longestRow,
  };
}

class TrainStage {
  constructor(
    private readonly context: JobRun,
    private readonly inputs: TrainStageInputs,
    private readonly model: PagedModel,
  ) {}

  async run(): Promise<TunedOutcome> {
    const { stage } = this.inputs;
    const { training } = this.context.environment;
    const progress = await training.load(stage);
    if (progress) this.#notice(`${stage} goes on after step ${progress.state.step}`);
    const before = progress ? progress.before : await this.#scoreBefore();
    const validations = this.#validations(before, progress);
    const result = await this.#train({ before, validations, progress });
    const { adapter: _end, divergence, ...numbers } = result;
    const chosen = validations ? await this.#best(result, validations) : await this.#ended(result);
    const course = {
      curve: validations ? [...validations.curve] : null,
      chosenStep: chosen.step,
      divergence: divergence?.error.message ?? this.#notFinite(result),
    };
    if (stage === 'train') this.#tellOf(chosen, course);
    return { ...numbers, adapter: chosen.adapter, before, after: chosen.score, course };
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
    if (evaluateBefore) return this.#validate(null);
    return this.context.job.options.evalSteps === null ? null : this.#validate(adapter);
  }

  /** null: the job validates at the end only. */
  #validations(before: Score | null, progress: StageProgress | null): Validations | null {
    if (this.context.job.options.evalSteps === null || !before) return null;
    const { adapter } = this.inputs;
    const kept = progress?.validations ?? null;
    const validations = new Validations({ step: 0, score: before, adapter }, kept);
    if (!kept) this.#tell(0, before);
    return validations;
  }

  #train({
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
    const { weightDecay, maxGradientNorm } = job.options;
    const optimizer = job.options.optimizer === 'prodigy' ? defaultProdigy : defaultAdamw;
    const { rows, batches } = stepsOf(this.context, plan);
    return train({
      ...{ model: this.model, adapter, rows, batches },
      schedule: plan.schedule,
      optimizer: { ...optimizer, weightDecay, maxGradientNorm },
      keptBlocks: environment.memory[stage].keptBlocks,
      resume: progress?.state ?? null,
      checkpoint: {
        everySteps: training.everySteps,
        save: (state) =>
          training.save(stage, { before, state, validations: validations?.kept ?? null }),
      },
      pause: pausesOf([
        this.#sampling(),
        ...(validations ? [this.#validating(validations, batches.length)] : []),
      ]),
      onDivergence: 'end',
      onStep: (report) => {
        environment.observer({ type: 'step', stage, ...report });
        environment.onPart?.(stage, 'step');
      },
      signal: environment.signal,
    });
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
    const isPlanned = (step: number): boolean => step % everySteps === 0 && step < steps;
    return {
      isDue: (step) => (this.#isReal ? isPlanned(step) && !validations.has(step) : step === 1),
      run: async (step, adapter) => {
        await this.#add(validations, step, adapter);
        environment.onPart?.(this.inputs.stage, 'validation');
      },
    };
  }

  async #add(
    validations: Validations,
    step: number,
    adapter: LoraAdapter | DeviceAdapter,
  ): Promise<void> {
    const validated = await this.#validate(adapter);
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
      return { step: steps, adapter, score: await this.#validate(adapter) };
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

  async #validate(adapter: LoraAdapter | DeviceAdapter | null): Promise<Score> {
    const { job, environment } = this.context;
    const [validated] = await score(environment, {
      ...{ model: this.model, stage: this.inputs.stage, adapters: [adapter] },
      ...{ batches: job.validation, task: 'validating' },
    });
    if (!validated) throw new Error('evaluation gave no result');
    return validated;
  }
}

function notFinite(steps: number): string {
  return `the adapter after step ${steps} has values that are not finite`;
}

function pausesOf(pauses: readonly TrainingPause[]): TrainingPause {
  return {
    isDue: (step) => pauses.some((pause) => pause.isDue(step)),
    run: async (step, adapter) => {
      for (const pause of pauses) if (pause.isDue(step)) await pause.run(step, adapter);
    },
  };
}

/** What is trained on: in a rehearsal it may be the first steps, and a batch that none outdoes. */
function stepsOf(
  { job: { trainRows: rows }, environment: { mostSteps } }: JobRun,
  { batches, heaviest }: TrainingPlan,
): { readonly rows: RowSource; readonly batches: StepBatches } {
  if (mostSteps === undefined && !heaviest) return { rows, batches };
  const count = Math.min(batches.length, mostSteps ?? batches.length);
  const first = Array.from({ length: count }, (_, step) => batchesOf(batches, step));
  return heaviest
    ? { rows: withHeaviest(rows, heaviest), batches: [...first, [[heaviestRow]]] }
    : { rows, batches: first };
}
