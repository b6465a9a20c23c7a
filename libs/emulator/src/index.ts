export {
  applyCorrection,
  type CorrectLayerOptions,
  correctLoraLayer,
  type LayerCorrection,
} from './correction.js';
export { EmulatorError, type EmulatorErrorCode } from './errors.js';
export { factorize, type FactorizeOptions, type Factors } from './factorize.js';
export { emulatorRank, parseRatioRules, type RatioRule, ratioOf } from './ratio-rules.js';
export {
  type LayerStatistic,
  type LayerStatistics,
  packTriangle,
  statisticFor,
  type StatisticValues,
  unpackTriangle,
} from './statistics.js';
export { StatisticsAccumulator } from './statistics-accumulator.js';
export { type CalibratedLinear, planStatistics, type StatisticPlan } from './statistics-plan.js';
