import { get } from '@emloc/checked';

import { gpuShapes } from './gpu-shapes.js';
import { modelShapes, type ModelShape } from './shape-model.js';

/** Shapes of published models and rows that are as long as they are cut, for other tools. */
export { fluxConfigs, fluxShape } from './flux-shape.js';
export { makeImageRows } from './image-rows.js';
export { makeLongRows } from './shape-model.js';

/** Every shape but that of models that make pictures, which are several configs. */
export function shapeNamed(name: string): ModelShape {
  return (
    modelShapes.get(name) ?? {
      config: get(gpuShapes, name),
      tokenizer: 'examples/models/demo-5m',
      takesImages: false,
    }
  );
}
