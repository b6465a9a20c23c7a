import { join } from 'node:path';
import {
  defaultPolicy,
  programsIn,
  startLocalDeployment,
  type LocalDeployment,
  type ProcessExit,
  type StageName,
} from '@emloc/local-deployment';
import { connect, type CreateJobOptions, type EmlocClient } from '@emloc/sdk';

import { prepareJob, tuneReference, type SoakPaths } from './reference.js';

/** An end of a process, as its supervisor saw it. */
export interface ObservedExit extends ProcessExit {
  readonly process: string;
}

/** A deployment, a job for it, and what has to come out. */
export interface TestBed {
  readonly paths: SoakPaths;
  readonly deployment: LocalDeployment;
  readonly client: EmlocClient;
  readonly options: CreateJobOptions['options'];
  readonly reference: ReadonlyMap<string, string>;
  /** Exits since the last call. */
  takeExits(): ObservedExit[];
  /** Lines of all processes since the last call, the last ones where there are many. */
  takeLines(): string[];
  close(): Promise<void>;
}

export interface TestBedOptions {
  readonly replicas?: Readonly<Partial<Record<StageName, number>>>;
  readonly logLevel?: string;
}

/** Quick restarts, so that a run has many moments at which a process is there to be killed. */
const policy = Object.freeze({ ...defaultPolicy, backoffMaxMs: 2000, stableAfterMs: 5000 });
const maxLines = 50_000;

/** Runs the reference, then starts a deployment. */
export async function openTestBed(
  paths: SoakPaths,
  { replicas, logLevel = 'info' }: TestBedOptions = {},
): Promise<TestBed> {
  const options = await prepareJob(paths);
  const reference = await tuneReference(paths, options);
  let [exits, lines]: [ObservedExit[], string[]] = [[], []];
  const deployment = await startLocalDeployment({
    program: programsIn(paths.dist),
    stateDir: join(paths.work, 'state'),
    port: 0,
    replicas,
    policy,
    flags: (service) => [
      '--log-level',
      logLevel,
      ...(service === 'coordinator'
        ? ['--model-roots', paths.root, '--data-roots', paths.work]
        : []),
    ],
    observer: { exited: (process, { code, signal }) => exits.push({ process, code, signal }) },
    onLine: (process, line) => {
      lines.push(`${process} ${line}`);
      if (lines.length > 2 * maxLines) lines = lines.slice(-maxLines);
    },
  });
  const client = connect({ address: deployment.endpoint });
  return {
    paths,
    deployment,
    client,
    options,
    reference,
    takeExits: () => {
      const taken = exits;
      exits = [];
      return taken;
    },
    takeLines: () => {
      const taken = lines;
      lines = [];
      return taken;
    },
    close: async () => {
      client.close();
      await deployment.stop();
    },
  };
}
