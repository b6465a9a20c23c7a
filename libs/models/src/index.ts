export { adaptableModules, linearModules } from './layout.js';
export type { LinearSpec, ModelLayout } from './layout.js';
export { layoutOf } from './families.js';
export { type Model, openModel } from './open-model.js';
export {
  factorNames,
  overlaySource,
  sliceSource,
  type SourceSlice,
  type TensorOverlay,
} from './sources.js';
export { bindBlock } from './bind.js';
export { ropeTables } from './rope.js';
