import process from 'node:process';
import type { DeployedProcess, LocalDeployment } from '@emloc/local-deployment';

/**
 * A running deployment for machines. Metrics are pages for Prometheus to scrape.
 * @param isSecure whether the coordinator speaks TLS
 */
export function serveDocument(deployment: LocalDeployment, isSecure: boolean): unknown {
  const { endpoint, natsUrl, stateDir } = deployment;
  const processes = deployment.processes().map((one) => ({
    name: one.name,
    pid: one.pid,
    address: one.address,
    metrics: metricsUrl(one, isSecure),
  }));
  return { endpoint, natsUrl, stateDir, pid: process.pid, processes };
}

/** The same for people. */
export function serveText(deployment: LocalDeployment, isSecure: boolean): string {
  const processes = deployment.processes();
  const width = Math.max(...processes.map(({ name }) => name.length));
  return [
    `emloc serves at ${deployment.endpoint}; Ctrl-C stops it`,
    '',
    `  submit a job   emloc jobs create --server ${deployment.endpoint} --model DIR --data FILE`,
    `  its state      ${deployment.stateDir}`,
    '',
    ...processes.map((one) =>
      `  ${one.name.padEnd(width)}  ${one.address.padEnd(21)}  ${metricsUrl(one, isSecure) ?? ''}`.trimEnd(),
    ),
  ].join('\n');
}

function metricsUrl({ name, metricsPort }: DeployedProcess, isSecure: boolean): string | null {
  return metricsPort === null
    ? null
    : `http${isSecure && name === 'coordinator' ? 's' : ''}://127.0.0.1:${metricsPort}/metrics`;
}
