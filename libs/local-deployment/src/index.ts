export {
  type DeployedProcess,
  type DeploymentSignals,
  type LocalDeployment,
  type LocalDeploymentOptions,
  startLocalDeployment,
} from './deployment.js';
export { LocalDeploymentError, type LocalDeploymentErrorCode } from './errors.js';
export {
  type ServiceName,
  type StageName,
  programsIn,
  replicatedStages,
  serviceNames,
  stageNames,
} from './layout.js';
export { formatLogLine } from './processes/log-line.js';
export { defaultPolicy, type ProcessExit, type SupervisionPolicy } from './supervision/machine.js';
export type { SupervisorObserver } from './supervision/supervisor.js';
