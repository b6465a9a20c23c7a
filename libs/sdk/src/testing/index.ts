export {
  type FakeDeployment,
  type FakeDeploymentOptions,
  startFakeDeployment,
} from './fake-deployment.js';
export { FakeJobService } from './fake-job-service.js';
export { type JobFailure, sha256Of } from './fake-jobs.js';
export type { Fault } from './faults.js';
export { fakeAdapter, finishJob } from './finish-job.js';
