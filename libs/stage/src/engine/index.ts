export type { EngineContract, EngineReport, NamedBlock } from '../contract.js';
export { inLayer, namedBlocks, runEngineStage } from './engine-stage.js';
export { preparedMemory } from './prepared-job.js';
export { ownedBuffers } from './owned-buffers.js';
export { requestedTraining, type TrainingRequest } from './training-requests.js';
export { fetchFactors, type FactorsRequest } from './factor-requests.js';
