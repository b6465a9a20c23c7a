export { spackRows, spackColumns, sgemmStripRows, sgemmBlock } from './sgemm-block';
export { dpackRows, dpackColumns, dgemmBlock } from './dgemm-block';
export { isFused } from './multiply-add';
export { softmaxRows, probabilityRows, scoreGradients, softCapRow, multiplyRow } from './softmax';
export { activationForward, activationBackward, gatedForward, gatedBackward } from './activation';
export { capRow, capSlopes } from './soft-cap';
export { expRow, indexOf, maxRow, scaleRow } from './exp-row';
