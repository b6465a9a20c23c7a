export { type FakeDeployment, type FakeDeploymentOptions, startFakeDeployment } from './fake-deployment.js';
export { type FakeJobService, sha256Of } from './fake-job-service.js';
export type { Fault } from './faults.js';
