export { ModelError, type ModelErrorCode } from './errors.js';
export { adaptableModules, linearModules } from './layout.js';
export type { LinearSpec, ModelFamily, ModelLayout, UnitSpec, UnitTensorSpec } from './layout.js';
export { modelFamilies, layoutOf } from './families.js';
export { type Model, openModel, type OpenModelOptions } from './open-model.js';
export {
  factorNames,
  overlaySource,
  sliceSource,
  type SourceSlice,
  type TensorOverlay,
} from './sources.js';
export { bindBlock, type BlockRunInputs } from './bind.js';
export { ropeTables } from './rope.js';
