export { sgemmBlock } from './sgemm-block';
export { dgemmBlock } from './dgemm-block';
export { softmaxRows, probabilityRows, scoreGradients, softCapRow, multiplyRow } from './softmax';
export { swigluForward, swigluBackward } from './swiglu';
export { expRow, indexOf, maxRow, scaleRow } from './exp-row';
