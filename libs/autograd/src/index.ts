export {
  type CacheSpec,
  type LinearSpec,
  type LogitSpec,
  type Program,
  ProgramBuilder,
} from './program.js';
export type {
  AdapterBinding,
  AdapterDropout,
  AttentionCache,
  BlockBindings,
  GradientObserver,
  LinearWeights,
  RopeTable,
  StateCache,
} from './bindings.js';
export { type GradientPlan, outputsWithGradient, planGradients } from './gradient-plan.js';
export {
  type BlockForward,
  type BlockOutcome,
  forwardBlock,
  forwardBlockAgain,
  inferBlock,
  type Streams,
} from './forward.js';
export { backwardBlock } from './backward.js';
export type { SavedBlock } from './saved-block.js';
export { activation } from './operations/activation.js';
export { add } from './operations/add.js';
export { attention } from './operations/attention.js';
export { causalConvolution } from './operations/causal-convolution.js';
export { convolution } from './operations/convolution.js';
export { embedding } from './operations/embedding.js';
export { frozenLinear } from './operations/frozen-linear.js';
export { gatedActivation } from './operations/gated-activation.js';
export { gatedDeltaRule } from './operations/gated-delta-rule.js';
export { groupNorm } from './operations/group-norm.js';
export { groupRows } from './operations/group-rows.js';
export { joinColumns } from './operations/join-columns.js';
export { l2Norm } from './operations/l2-norm.js';
export { layerNorm } from './operations/layer-norm.js';
export { layerScale } from './operations/layer-scale.js';
export { linear } from './operations/linear.js';
export { lmLoss } from './operations/lm-loss.js';
export { gatedAdd, modulate } from './operations/modulate.js';
export { mseLoss } from './operations/mse-loss.js';
export { placeRows } from './operations/place-rows.js';
export { rmsNorm } from './operations/rms-norm.js';
export { rope } from './operations/rope.js';
export { gatherRows, joinRows } from './operations/rows.js';
export { scaleByParameter } from './operations/scale-by-parameter.js';
export { scale } from './operations/scale.js';
export { splitColumns } from './operations/split-columns.js';
