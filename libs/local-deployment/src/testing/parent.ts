import process from 'node:process';
import { at } from '@emloc/checked';

import { startLocalDeployment } from '../deployment.js';

/** Starts a deployment of fake services, and prints the pids of its processes in a line of JSON. */
const program = at(process.argv, 2);
const stateDir = at(process.argv, 3);
const deployment = await startLocalDeployment({
  program: () => program,
  stateDir,
  port: 0,
  flags: (service) => ['--service', service],
});
process.stdout.write(`${JSON.stringify(deployment.processes().map(({ pid }) => pid))}\n`);
