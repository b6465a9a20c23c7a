export type { EngineEvent } from '../contract.js';
export { blockFactors } from './block-factors.js';
export { blockItems, blockKey, type LayerSharing, shareLayers } from './layer-sharing.js';
export { runStageService } from './run-stage-service.js';
export { reportMessage } from './call-messages.js';
export type { StageAttempt, StageHandler } from './stage-attempt.js';
export { stageOptions } from './stage-options.js';
export { movedRecord, nameOrDiscard, storeRecord } from './tensor-records.js';
