import type { LayerReport } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';
import type { EmulatorReport } from '@emloc/pipeline/stages';
import type { EngineContract, EngineReport, NamedBlock } from '@emloc/stage/engine';

/** A block whose statistics wait for their factors. */
export interface CalibratedBlock {
  readonly block: number;
  readonly record: TensorRecord;
}

export type BuildRequest =
  /** Blocks that the emulator is made of; asked first. */
  | { readonly type: 'blocks'; readonly blocks: readonly NamedBlock[] }
  /** The next block; null: all are done, whoever did them. */
  | { readonly type: 'next' }
  | {
      readonly type: 'factors';
      readonly block: number;
      readonly record: TensorRecord;
      readonly reports: readonly LayerReport[];
    }
  /** What is reported of all layers, when all are done. */
  | { readonly type: 'reports' };

interface BuildOutcome {
  readonly report: EngineReport;
  readonly emulator: EmulatorReport;
}

/** The builder's engine: factorises blocks for as long as there are any. */
export type BuildContract = EngineContract<
  unknown,
  BuildRequest,
  CalibratedBlock | readonly LayerReport[],
  BuildOutcome
>;
