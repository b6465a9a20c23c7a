import type { TensorRecord, TuneOptions } from '@emloc/pipeline';
import type { WorkerContract } from '@emloc/service/worker';

import type { AdapterName, EngineStep, Inspection, OutcomeTask, PlannedJob } from './engine.js';

/** What the engine's thread is asked, and asks back. */
export interface EngineWorkerContract extends WorkerContract {
  readonly task:
    /** Is answered once the thread has loaded its program. */
    | { readonly kind: 'ready' }
    | { readonly kind: 'inspect'; readonly options: TuneOptions }
    | {
        readonly kind: 'plan';
        readonly options: TuneOptions;
        readonly device: string;
        readonly threads: number | undefined;
      }
    | ({ readonly kind: 'outcome' } & OutcomeTask);
  /** What comes next. */
  readonly event: EngineStep;
  /** Asks for an adapter. */
  readonly request: AdapterName;
  readonly response: TensorRecord;
  readonly result:
    | { readonly kind: 'ready' }
    | ({ readonly kind: 'inspect' } & Inspection)
    | ({ readonly kind: 'plan' } & PlannedJob)
    | { readonly kind: 'outcome'; readonly budgetBytes: number };
}
