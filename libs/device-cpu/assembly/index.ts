export { sgemmBlock } from './sgemm-block';
export { dgemmBlock } from './dgemm-block';
export { causalSoftmax, causalProbabilities, scoreGradients } from './softmax';
export { swigluForward, swigluBackward } from './swiglu';
export { expRow, indexOf, maxRow, scaleRow } from './exp-row';
