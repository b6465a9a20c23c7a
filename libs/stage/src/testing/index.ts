export { type FakeEngine, startStageStorage, type StageStorage } from './stage-storage.js';
export {
  type Listening,
  listening,
  resultOf,
  type Spawned,
  spawnProgram,
  type StageProcess,
  type StageProcesses,
  startStageProcesses,
  stopHolding,
  watchResults,
} from './stage-processes.js';
