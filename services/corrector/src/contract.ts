import type { TensorRecord } from '@emloc/pipeline';
import type { EngineContract, EngineReport } from '@emloc/stage-runtime';
import type { FactorsRequest } from '@emloc/stage-runtime/engine';

export type CorrectorTask =
  /** Corrects an adapter and scores the candidates. */
  | { readonly kind: 'correct'; readonly adapter: TensorRecord }
  /** Merges a PEFT adapter's folder into the model's checkpoint. */
  | { readonly kind: 'merge'; readonly adapter: string; readonly out: string; readonly dtype: 'float32' | 'bfloat16' | 'float16' | undefined };

export interface CorrectOutcome {
  readonly kind: 'correct';
  readonly report: EngineReport;
  readonly adapter: TensorRecord;
  readonly chosen: string;
  readonly scores: Readonly<Record<string, number>>;
  readonly baseLoss: number;
}

export interface MergeOutcome {
  readonly kind: 'merge';
  readonly report: EngineReport;
}

/** The corrector's engine. */
export type CorrectorContract = EngineContract<CorrectorTask, FactorsRequest, TensorRecord, CorrectOutcome | MergeOutcome>;
