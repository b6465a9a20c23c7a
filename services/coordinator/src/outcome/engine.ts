import type { JsonValue } from '@bufbuild/protobuf';
import type { PlainTuneOptions } from '@emloc/contracts';
import type { RowScan } from '@emloc/dataset';
import type { JobPlan, MethodChoice, TensorRecord, TuneOptions } from '@emloc/pipeline';

/** What an outcome is made of. */
export interface OutcomeTask {
  /** `out` is the folder that is written. */
  readonly options: TuneOptions;
  /** Result messages of the stages by name, as JSON. */
  readonly results: Readonly<Record<string, JsonValue>>;
  readonly program: string;
  /** What a plan had decided of the job; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
  /** File of the job's log. */
  readonly log: string;
}

/** A plan, and what it has decided of the job. */
export interface PlannedJob {
  readonly plan: JobPlan;
  /** null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/** Adapters of a job, on their way from stage to stage. */
export type AdapterName = 'adapter' | 'uncorrected';

/** What an inspection has found. */
export interface Inspection {
  /** Whether any layer is replaced by factors. */
  readonly isEmulated: boolean;
  /** Whether that is for a plan to say. */
  readonly isUndecided: boolean;
  /** Options that were not asked for and that the kind of model decides. */
  readonly decided: Partial<PlainTuneOptions>;
  readonly found: FoundRows | FoundPictures;
}

/** Of a model that is trained on rows of text. */
export interface FoundRows {
  readonly kind: 'text';
  readonly data: RowScan;
  /** Files beside it. */
  readonly moreData: readonly RowScan[];
  /** Null: the rows for validation are taken from the data. */
  readonly validation: RowScan | null;
}

/** Of a model that is trained on folders of pictures. */
export interface FoundPictures {
  readonly kind: 'pictures';
  readonly problems: readonly FolderProblem[];
}

/** Why a folder of pictures cannot be used. */
export interface FolderProblem {
  /** The option that names the folder. */
  readonly option: 'data' | 'validation' | 'classData';
  readonly description: string;
}

/**
 * Most of a data set that an inspection looks at; what lies beyond is checked by the first stage.
 */
export const maxInspectedBytes = 64 * 1024 * 1024;

/** Steps of an inspection or a plan, in their order; each has a limit of time of its own. */
export type EngineStep =
  | 'options'
  | 'model'
  | 'targets'
  | 'initAdapter'
  | 'rank'
  | 'ratios'
  | 'data'
  | 'validation'
  | 'plan';

/** Work of the engine that needs no device; runs beside the thread that serves. */
export interface Engine {
  /**
   * Reads and checks the model, and looks at the form of rows.
   * @throws the typed errors of model, checkpoint, options and data sets; RpcError
   * INVALID_ARGUMENT that names the field, without a prefix, where it is known
   */
  inspect(options: TuneOptions, signal: AbortSignal): Promise<Inspection>;
  /** @throws the typed errors of the engine; RpcError INVALID_ARGUMENT as of an inspection */
  plan(options: TuneOptions, signal: AbortSignal): Promise<PlannedJob>;
  /** Writes the adapter's folder. @throws the typed errors of the engine */
  writeOutcome(
    task: OutcomeTask,
    adapters: (name: AdapterName) => Promise<TensorRecord>,
    signal: AbortSignal,
  ): Promise<{ readonly budgetBytes: number }>;
  close(): Promise<void>;
}
