import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeployedProcess, LocalDeployment } from '@emloc/local-deployment';

import type { Fault, ProcessName } from './fault-plan.js';

/** A fault that happened. */
export interface AppliedFault {
  readonly fault: Fault;
  readonly afterMs: number;
  /** What was wrong with how the process took it. */
  readonly problem: string | null;
}

const pollMs = 20;
const readinessDropsWithinMs = 2000;

/**
 * Does to a deployment what a fault says, and waits until a cut is over.
 * @param afterMs since the job was created
 */
export async function inject(
  deployment: LocalDeployment,
  fault: Fault,
  afterMs: number,
): Promise<AppliedFault> {
  const { pid, metricsPort } = await runningProcess(deployment, fault.process);
  const done = (problem: string | null = null): AppliedFault => ({ fault, afterMs, problem });
  switch (fault.kind) {
    case 'kill':
      signal(pid, 'SIGKILL');
      return done();
    case 'terminate':
      signal(pid, 'SIGTERM');
      return done(
        metricsPort !== null && (await losesReadiness(metricsPort))
          ? null
          : `${fault.process} was still ready ${readinessDropsWithinMs} ms after SIGTERM`,
      );
    case 'cut':
      signal(pid, 'SIGSTOP');
      try {
        await sleep(fault.seconds * 1000);
      } finally {
        signal(pid, 'SIGCONT');
      }
      return done();
  }
}

/** Resolves when all processes are there and ready. */
export async function untilReady(deployment: LocalDeployment): Promise<void> {
  while (!deployment.processes().every(({ isReady }) => isReady)) await sleep(pollMs);
}

/** One that waits to be started again is waited for. */
async function runningProcess(
  deployment: LocalDeployment,
  name: ProcessName,
): Promise<DeployedProcess & { readonly pid: number }> {
  for (;;) {
    const found = deployment.processes().find((one) => one.name === name);
    if (found?.pid !== undefined) return { ...found, pid: found.pid };
    await sleep(pollMs);
  }
}

/** A process that has ended meanwhile is past being signalled. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function losesReadiness(port: number): Promise<boolean> {
  const endMs = performance.now() + readinessDropsWithinMs;
  while (performance.now() < endMs) {
    const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status: code }) => code,
      () => 0,
    );
    if (status !== 200) return true;
    await sleep(pollMs);
  }
  return false;
}
