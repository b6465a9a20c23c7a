export { chosenRope, readLayerRope, readRope, readTheta, type RopeModel } from './read-rope.js';
export { positionBounds } from './parameters.js';
