export { chosenRope, readLayerRope, readRope, readTheta } from './read-rope.js';
export { positionBounds } from './parameters.js';
