import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { getPage } from '@emloc/deployment/http-pages';
import type { DeployedProcess } from '@emloc/local-deployment';
import { until } from '@emloc/time/testing';

import { hasJetStream } from '../checks/jetstream.js';
import type { Fault, ProcessName } from '../plan/faults.js';
import type { Bed } from './bed.js';

/** A fault that happened. */
export interface AppliedFault {
  readonly fault: Fault;
  readonly afterMs: number;
  /** When it was over. */
  readonly endedMs: number;
  /** What was wrong with how it was taken. */
  readonly problem: string | null;
  /** Processes that it ended besides, for the operator's reasons. */
  readonly alsoKilled: readonly ProcessName[];
}

/** The job whose deployment is disturbed. */
export interface Disturbed {
  /** On the clock of `performance`. */
  readonly startMs: number;
  cancel(): Promise<void>;
}

const pollMs = 20;
const readinessDropsWithinMs = 2000;
/** How long after a disk has space again its operator starts a server again that stores nothing. */
const operatorMs = 3000;

/** Does to a deployment what a fault says, and waits until it is over. */
export async function inject(bed: Bed, fault: Fault, job: Disturbed): Promise<AppliedFault> {
  const afterMs = performance.now() - job.startMs;
  const what = await apply(bed, fault, job);
  return {
    fault,
    afterMs,
    endedMs: performance.now() - job.startMs,
    problem: what.problem ?? null,
    alsoKilled: what.alsoKilled ?? [],
  };
}

type Taken = Partial<Pick<AppliedFault, 'problem' | 'alsoKilled'>>;

async function apply(bed: Bed, fault: Fault, job: Disturbed): Promise<Taken> {
  switch (fault.kind) {
    case 'kill':
      await end(bed, fault.process, 'SIGKILL');
      return {};
    case 'terminate':
      return terminate(bed, fault.process);
    case 'pause':
      return pause((await runningProcess(bed, fault.process)).pid, fault.seconds);
    case 'fill':
      return fill(bed, fault);
    case 'cancel':
      await job.cancel();
      return {};
  }
}

async function terminate(bed: Bed, name: ProcessName): Promise<Taken> {
  const { pid, metricsPort } = await runningProcess(bed, name);
  signal(pid, 'SIGTERM');
  const isTold = metricsPort === null || (await losesReadiness(bed, metricsPort));
  await untilGone(bed, name, pid);
  if (isTold) return {};
  return { problem: `${name} was still ready ${readinessDropsWithinMs} ms after SIGTERM` };
}

async function end(bed: Bed, name: ProcessName, how: NodeJS.Signals): Promise<void> {
  const { pid } = await runningProcess(bed, name);
  signal(pid, how);
  await untilGone(bed, name, pid);
}

/** Until then it counts as ready, and its end would be taken for one of the next round. */
async function untilGone(bed: Bed, name: ProcessName, pid: number): Promise<void> {
  const isThere = (): boolean =>
    bed.processes().some((one) => one.name === name && one.pid === pid);
  await until(() => !isThere(), `${name} has ended`);
}

async function pause(pid: number, seconds: number): Promise<Taken> {
  signal(pid, 'SIGSTOP');
  try {
    await sleep(seconds * 1000);
  } finally {
    signal(pid, 'SIGCONT');
  }
  return {};
}

/** A server whose disk was full stores nothing any more, and has to be started again. */
async function fill(
  bed: Bed,
  { what, seconds }: Extract<Fault, { readonly kind: 'fill' }>,
): Promise<Taken> {
  if (!bed.store) throw new Error(`${bed.kind}: its NATS has no small store`);
  const empty = await bed.store.fill(what, bed.nats);
  await sleep(seconds * 1000);
  // A server that stores nothing deletes nothing either.
  if (what === 'disk') await empty();
  await sleep(operatorMs);
  const isWell = await hasJetStream(bed.nats);
  if (!isWell) await end(bed, 'nats-server', 'SIGKILL');
  if (what === 'limit') await empty();
  return { alsoKilled: isWell ? [] : ['nats-server'] };
}

/** One that waits to be started again is waited for. */
async function runningProcess(
  bed: Bed,
  name: ProcessName,
): Promise<DeployedProcess & { readonly pid: number }> {
  return until(() => {
    const found = bed.processes().find((one) => one.name === name);
    return found?.pid === undefined ? null : { ...found, pid: found.pid };
  }, `${name} runs`);
}

/** A process that has ended meanwhile is past being signalled. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function losesReadiness({ ca }: Bed, port: number): Promise<boolean> {
  const endMs = performance.now() + readinessDropsWithinMs;
  while (performance.now() < endMs) {
    const status = await (
      ca ? getPage(port, '/readyz', { ca }) : fetch(`http://127.0.0.1:${port}/readyz`)
    ).then(
      ({ status: code }) => code,
      () => 0,
    );
    if (status !== 200) return true;
    await sleep(pollMs);
  }
  return false;
}
