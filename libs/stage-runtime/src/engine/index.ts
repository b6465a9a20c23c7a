export type {
  DeviceMemoryRequest,
  EngineContract,
  EngineEvent,
  EngineReport,
  EngineTask,
  NamedBlock,
} from '../contract.js';
export {
  inLayer,
  type EngineInputs,
  type EngineStage,
  namedBlocks,
  runEngineStage,
} from './engine-stage.js';
export { preparedMemory } from './prepared-job.js';
export { ownedBuffers } from './owned-buffers.js';
export { requestedTraining, type TrainingRequest } from './training-requests.js';
export { fetchFactors, type FactorsRequest } from './factor-requests.js';
