export { sgemmBlock } from './sgemm-block';
export { dgemmBlock } from './dgemm-block';
export { softmaxRows, probabilityRows, scoreGradients, softCapRow, multiplyRow } from './softmax';
export { activationForward, activationBackward, gatedForward, gatedBackward } from './activation';
export { capRow, capSlopes } from './soft-cap';
export { expRow, indexOf, maxRow, scaleRow } from './exp-row';
