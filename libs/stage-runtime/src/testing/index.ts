export { type FakeEngine, startStageStorage, type StageStorage } from './stage-storage.js';
