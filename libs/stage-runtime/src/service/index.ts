export type { EngineContract, EngineEvent, EngineReport, NamedBlock } from '../contract.js';
export { blockFactors } from './block-factors.js';
export { blockItems, blockKey, type LayerSharing, shareLayers } from './layer-sharing.js';
export { runStageService } from './run-stage-service.js';
export { reportMessage, type StageAttempt, type StageHandler } from './stage-calls.js';
export { stageOptions } from './stage-options.js';
export { movedRecord, nameOrDiscard, storeRecord } from './tensor-records.js';
