import type { TensorRecord } from '@emloc/pipeline';
import type { EngineContract, EngineReport, NamedBlock } from '@emloc/stage/engine';

export type CorrectorTask =
  /** Computes the corrections of blocks for as long as there are any. */
  | { readonly kind: 'correct-blocks'; readonly adapter: TensorRecord }
  /** Scores the candidates and picks one. */
  | {
      readonly kind: 'choose';
      readonly adapter: TensorRecord;
      readonly corrections: readonly TensorRecord[];
    }
  /** Merges a PEFT adapter's folder into the model's checkpoint. */
  | {
      readonly kind: 'merge';
      readonly adapter: string;
      readonly out: string;
      readonly dtype: 'float32' | 'bfloat16' | 'float16' | undefined;
    };

export type CorrectorRequest =
  /** Blocks that are corrected; asked first. */
  | { readonly type: 'blocks'; readonly blocks: readonly NamedBlock[] }
  /** The next block with its factors; null: all are done, whoever did them. */
  | { readonly type: 'next' }
  | { readonly type: 'corrections'; readonly block: number; readonly record: TensorRecord };

export interface BlockToCorrect {
  readonly block: number;
  readonly factors: TensorRecord;
}

export type CorrectorOutcome =
  | { readonly kind: 'correct-blocks' | 'merge'; readonly report: EngineReport }
  | {
      readonly kind: 'choose';
      readonly report: EngineReport;
      readonly adapter: TensorRecord;
      readonly chosen: string;
      readonly scores: Readonly<Record<string, number>>;
      readonly baseLoss: number;
    };

/** The corrector's engine. */
export type CorrectorContract = EngineContract<
  CorrectorTask,
  CorrectorRequest,
  BlockToCorrect,
  CorrectorOutcome
>;
