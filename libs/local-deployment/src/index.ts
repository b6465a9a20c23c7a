export {
  type DeployedProcess,
  type DeploymentSignals,
  type LocalDeployment,
  startLocalDeployment,
} from './deployment.js';
export {
  type ServiceName,
  type StageName,
  programsIn,
  serviceNames,
  stageNames,
} from './layout.js';
export { formatLogLine } from './processes/log-line.js';
export { defaultPolicy, type ProcessExit } from './supervision/machine.js';
