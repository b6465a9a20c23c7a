export { type BlockProgram, ProgramBuilder } from './program.js';
export type { Value } from './value.js';
export type { AdapterBinding, BlockBindings, LinearWeights } from './bindings.js';
export { type Differentiation, type GradientPlan, planGradients } from './gradient-plan.js';
export { type BlockForward, forwardBlock, inferBlock } from './forward.js';
export { backwardBlock, type SavedBlock } from './backward.js';
