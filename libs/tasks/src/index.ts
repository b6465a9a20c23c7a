export { Prompts, TextPrompts } from './text/text-prompts.js';
export { consecutive, TextRows } from './text/text-rows.js';
export { evaluateText, type Evaluation, type TextBatches } from './text/text-score.js';
export { ScoreError } from './scores/errors.js';
export { createMetric, metricNames, metrics, type MetricName } from './scores/metrics.js';
export { referenceOf, type Reference } from './scores/reference.js';
