import type { LoraAdapter } from '@emloc/checkpoint';
import type { DeviceAdapter, PagedModel } from '@emloc/finetune';
import type { Score } from '@emloc/tasks';

import type { JobRun } from '../job/job-run.js';
import type { StageName } from '../job/observer.js';
import type { LevelPager } from './level-pager.js';
import { score } from './score.js';
import type { Validations } from './validations.js';

interface ValidatedStage {
  readonly stage: Extract<StageName, 'train' | 'refine'>;
  /** The one that is trained on, as it is. */
  readonly model: PagedModel;
  readonly pager: LevelPager;
}

/** Scores adapters on the validation split while a stage trains, and tells what comes of it. */
export class StageValidator {
  constructor(
    private readonly context: JobRun,
    private readonly validated: ValidatedStage,
  ) {}

  /** Whether numbers mean anything: not so in a rehearsal. */
  get isReal(): boolean {
    return this.context.environment.reads === 'real';
  }

  /** As events have it. */
  get level(): number {
    return this.validated.pager.level + 1;
  }

  notice(message: string): void {
    this.context.environment.observer({ type: 'notice', message });
  }

  /** @param step how many the adapter has behind it */
  async validate(adapter: LoraAdapter | DeviceAdapter | null, step: number): Promise<Score> {
    const { job, environment } = this.context;
    const { stage, model } = this.validated;
    const [validated] = await score(environment, {
      ...{ model, stage, adapters: [adapter] },
      ...{ batches: job.validation, task: 'validating' },
    });
    if (!validated) throw new Error('evaluation gave no result');
    const { loss } = validated;
    environment.observer({ type: 'validation', stage, level: this.level, step, loss });
    return validated;
  }

  async add(
    validations: Validations,
    step: number,
    adapter: LoraAdapter | DeviceAdapter,
  ): Promise<void> {
    const validated = await this.validate(adapter, step);
    const host = async (): Promise<LoraAdapter> =>
      'layers' in adapter ? adapter : adapter.download();
    await validations.add(step, validated, host);
    this.tell(step, validated);
  }

  tell(step: number, { loss }: Score): void {
    const { stage } = this.validated;
    if (this.isReal) this.notice(`${stage}: validation loss ${loss.toFixed(4)} after step ${step}`);
  }
}
