import { tensorKeys } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import { nameOrDiscard, type StageAttempt } from '@emloc/stage';

/**
 * The states of a training stage in the shared storage: the newest is named by the stage's record,
 * older ones are deleted.
 */
export class TrainingStates {
  #newest: string | null;

  constructor(
    private readonly attempt: StageAttempt,
    private readonly stage: 'train' | 'refine',
  ) {
    this.#newest = attempt.record.checkpoint;
  }

  async load(): Promise<TensorRecord | null> {
    return this.#newest === null ? null : this.attempt.records.read('lora', this.#newest);
  }

  /**
   * Counts once the record names it: a superseded attempt's state never does.
   * @throws JobStorageError STAGE_STALE_FENCING_TOKEN
   */
  async save(step: number, record: TensorRecord): Promise<void> {
    const { job, token, records, write } = this.attempt;
    const key = tensorKeys.training(job, this.stage, { token, step });
    await records.write('lora', key, record);
    const before = this.#newest;
    await nameOrDiscard(records, key, () => write({ checkpoint: key }));
    this.#newest = key;
    if (before !== null && before !== key) await records.delete(before);
  }
}

/** The optimizer step after which a state was saved, as its key says. */
export function stepOf(checkpoint: string | null): number {
  return Number(/-(\d+)$/.exec(checkpoint ?? '')?.[1] ?? 0);
}
