export { TextPrompts } from './text/text-prompts.js';
export { consecutive, TextRows } from './text/text-rows.js';
export { evaluateText, type Evaluation, type TextBatches } from './text/text-score.js';
