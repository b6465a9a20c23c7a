export { sgemmBlock } from './sgemm-block';
export { dgemmBlock } from './dgemm-block';
export { causalSoftmax, causalProbabilities, scoreGradients } from './softmax';
export { activationForward, activationBackward, gatedForward, gatedBackward } from './activation';
export { capRow, capSlopes } from './soft-cap';
export { expRow, indexOf, maxRow, scaleRow } from './exp-row';
