import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  defaultPolicy,
  programsIn,
  startLocalDeployment,
  type LocalDeployment,
  type ProcessExit,
  type StageName,
} from '@emloc/local-deployment';
import { hashToken } from '@emloc/rpc';
import { connect, type CreateJobOptions, type EmlocClient } from '@emloc/sdk';

import { startHostileTenant, type HostileTenant } from './hostile-tenant.js';
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
  /** A second tenant begins to do its worst. */
  startHostileTenant(): HostileTenant;
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
  const tokens = await writeTokens(paths);
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
        ? [
            ...['--model-roots', paths.root, '--data-roots', paths.work],
            ...['--tokens-file', tokens.file],
          ]
        : []),
    ],
    observer: { exited: (process, { code, signal }) => exits.push({ process, code, signal }) },
    onLine: (process, line) => {
      lines.push(`${process} ${line}`);
      if (lines.length > 2 * maxLines) lines = lines.slice(-maxLines);
    },
  });
  const client = connect({ address: deployment.endpoint, token: tokens.good });
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
    startHostileTenant: () =>
      startHostileTenant({
        address: deployment.endpoint,
        token: tokens.hostile,
        model: options.model,
        data: join(paths.work, 'rows.jsonl'),
      }),
    close: async () => {
      client.close();
      await deployment.stop();
    },
  };
}

interface Tokens {
  readonly file: string;
  readonly good: string;
  readonly hostile: string;
}

async function writeTokens({ work }: SoakPaths): Promise<Tokens> {
  const [good, hostile] = [randomToken(), randomToken()];
  const file = join(work, 'tokens.json');
  const entries = [
    { tenant: 'good', sha256: hashToken(good) },
    { tenant: 'hostile', sha256: hashToken(hostile) },
  ];
  await writeFile(file, JSON.stringify(entries), { mode: 0o600 });
  return { file, good, hostile };
}

function randomToken(): string {
  return randomBytes(32).toString('base64url');
}
