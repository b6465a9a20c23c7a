export { applyCorrection } from './apply-correction.js';
export { correctLoraLayer, type LayerCorrection } from './correction.js';
export { EmulatorError } from './errors.js';
export { factorize } from './factorize.js';
export { emulatorRank, parseRatioRules, ratioOf, type RatioRule } from './ratio-rules.js';
export { GradientAccumulator } from './gradient-accumulator.js';
export {
  type GradientStatistic,
  gradientStatisticFor,
  type LayerStatistic,
  type LayerStatistics,
  packTriangle,
  statisticFor,
  type StatisticValues,
  unpackTriangle,
} from './statistics.js';
export { factorsChoices, type FactorsChoice } from './solver.js';
export { StatisticsAccumulator } from './statistics-accumulator.js';
export { StatisticsMemory } from './statistics-memory.js';
export { planGradientStatistics, planStatistics } from './statistics-plan.js';
