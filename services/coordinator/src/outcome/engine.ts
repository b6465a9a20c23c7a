import type { JobPlan, TensorRecord, TuneOptions } from '@emloc/pipeline';
import type { JsonValue } from '@bufbuild/protobuf';

/** What an outcome is made of. */
export interface OutcomeTask {
  /** `out` is the folder that is written. */
  readonly options: TuneOptions;
  /** Result messages of the stages by name, as JSON. */
  readonly results: Readonly<Record<string, JsonValue>>;
  readonly program: string;
}

/** Adapters of a job, on their way from stage to stage. */
export type AdapterName = 'adapter' | 'uncorrected';

/** Work of the engine that needs no device; runs beside the thread that serves. */
export interface Engine {
  /** Reads and checks the model. @throws the typed errors of model, checkpoint and options */
  inspect(options: TuneOptions): Promise<{ readonly isEmulated: boolean }>;
  /** @throws the typed errors of the engine */
  plan(options: TuneOptions, signal: AbortSignal): Promise<JobPlan>;
  /** Writes the adapter's folder. @throws the typed errors of the engine */
  writeOutcome(task: OutcomeTask, adapters: (name: AdapterName) => Promise<TensorRecord>, signal: AbortSignal): Promise<{ readonly budgetBytes: number }>;
  close(): Promise<void>;
}
