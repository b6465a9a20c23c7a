import process from 'node:process';
import type { DeployedProcess, LocalDeployment } from '@emloc/local-deployment';

/** A running deployment for machines. Metrics are pages for Prometheus to scrape. */
export function serveDocument(deployment: LocalDeployment): unknown {
  const { endpoint, natsUrl, stateDir } = deployment;
  const processes = deployment.processes().map((one) => ({ name: one.name, pid: one.pid, address: one.address, metrics: metricsUrl(one) }));
  return { endpoint, natsUrl, stateDir, pid: process.pid, processes };
}

/** The same for people. */
export function serveText(deployment: LocalDeployment): string {
  const processes = deployment.processes();
  const width = Math.max(...processes.map(({ name }) => name.length));
  return [
    `emloc serves at ${deployment.endpoint}; Ctrl-C stops it`, '',
    `  submit a job   emloc jobs create --server ${deployment.endpoint} --model DIR --data FILE`,
    `  its state      ${deployment.stateDir}`, '',
    ...processes.map((one) => `  ${one.name.padEnd(width)}  ${one.address.padEnd(21)}  ${metricsUrl(one) ?? ''}`.trimEnd()),
  ].join('\n');
}

function metricsUrl({ address, metricsPort }: DeployedProcess): string | null {
  return metricsPort === null ? null : `http://${address.slice(0, address.lastIndexOf(':'))}:${metricsPort}/metrics`;
}
