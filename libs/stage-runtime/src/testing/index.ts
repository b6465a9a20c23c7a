export { type FakeEngine, startStageStorage, type StageStorage } from './stage-storage.js';
export { resultOf, type StageProcess, type StageProcesses, startStageProcesses, stopHolding, type WatchedResults, watchResults } from './stage-processes.js';
