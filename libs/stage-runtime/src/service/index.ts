export type {
  DeviceMemoryRequest,
  EngineContract,
  EngineEvent,
  EngineReport,
  EngineTask,
  NamedBlock,
} from '../contract.js';
export { blockFactors } from './block-factors.js';
export { StageError, type StageErrorCode } from './errors.js';
export { blockItems, blockKey, type LayerSharing, shareLayers } from './layer-sharing.js';
export { runStageService, type StageServiceDefinition } from './run-stage-service.js';
export { reportMessage, type StageAttempt, type StageHandler } from './stage-calls.js';
export { stageOptions } from './stage-options.js';
export { movedRecord, nameOrDiscard, storeAdapter, type TensorRecords } from './tensor-records.js';
