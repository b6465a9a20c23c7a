import type { TensorRecord } from '@emloc/pipeline';
import type { EngineContract, EngineReport } from '@emloc/stage/engine';

/** Statistics of a block that is calibrated. */
export interface StatisticsReady {
  readonly type: 'statistics';
  readonly block: number;
  readonly record: TensorRecord;
}

interface CalibrateOutcome {
  readonly report: EngineReport;
  readonly layers: number;
  /** Calibration tokens that went through the model. */
  readonly tokens: number;
}

/**
 * The calibrator's engine: told which blocks need no statistics, it hands over those of the others
 * as they are ready.
 */
export type CalibrateContract = EngineContract<
  { readonly skip: readonly number[] },
  StatisticsReady,
  null,
  CalibrateOutcome
>;
