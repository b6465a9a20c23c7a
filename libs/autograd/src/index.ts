export { type BlockProgram, ProgramBuilder } from './program.js';
export type { AdapterBinding, BlockBindings, LinearWeights } from './bindings.js';
export { type GradientPlan, planGradients } from './gradient-plan.js';
export { forwardBlock, inferBlock } from './forward.js';
export { backwardBlock, type SavedBlock } from './backward.js';
