import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { at } from '@emloc/checked';
import {
  defaultPolicy,
  programsIn,
  startLocalDeployment,
  type DeployedProcess,
  type LocalDeployment,
  type ProcessExit,
} from '@emloc/local-deployment';
import { connectNats, type NatsAccess, type NatsConnection } from '@emloc/nats';
import { hashToken } from '@emloc/rpc';
import { connect, type CreateJobOptions, type EmlocClient } from '@emloc/sdk';
import { until } from '@emloc/time/testing';

import type { BedKind } from '../plan/rounds.js';
import type { SoakPaths } from '../reference.js';
import { startHostileTenant, type HostileTenant } from './hostile-tenant.js';
import { startOwnNats, type OwnNats } from './own-nats.js';
import { startSecuredNats } from './secured-nats.js';
import { openSmallStore, type SmallStore } from './small-store.js';

/** An end of a process, as who started it saw it. */
export interface ObservedExit extends ProcessExit {
  readonly process: string;
}

/** A deployment that jobs run on while it is disturbed. */
export interface Bed {
  readonly kind: BedKind;
  readonly paths: SoakPaths;
  /** Clients of each coordinator. */
  readonly clients: readonly EmlocClient[];
  /** What jobs train on: a file, or what was uploaded. */
  readonly data: CreateJobOptions['options']['data'];
  /** A connection to its NATS that may do everything. */
  readonly nats: NatsConnection;
  /** Folder of all scratch space. */
  readonly scratch: string;
  /** Null: its NATS has space. */
  readonly store: SmallStore | null;
  /** Authority of what it listens with, PEM; null: no TLS. */
  readonly ca: Buffer | null;
  processes(): readonly DeployedProcess[];
  /** Exits since the last call. */
  takeExits(): ObservedExit[];
  /** Lines of all processes since the last call, the last ones where there are many. */
  takeLines(): string[];
  /** A second tenant begins to do its worst. */
  startHostileTenant(): HostileTenant;
  close(): Promise<void>;
}

export interface BedOptions {
  readonly rows: string;
  readonly model: string;
  readonly logLevel: string;
  /** Ends the start. */
  readonly signal: AbortSignal;
}

/** Quick restarts, so that a run has many moments at which a process is there to be killed. */
const policy = Object.freeze({ ...defaultPolicy, backoffMaxMs: 2000, stableAfterMs: 5000 });
const maxLines = 50_000;
/** Shorter than the default, so that pauses can be longer. */
const stageSilence = '15s';

/** Starts a deployment. */
export async function openBed(kind: BedKind, paths: SoakPaths, options: BedOptions): Promise<Bed> {
  const work = join(paths.work, kind);
  await mkdir(work, { recursive: true });
  const watch = watchProcesses();
  const surroundings = await surroundingsOf(kind, work, watch.exited);
  const tokens = await writeTokens(work);
  const place = { paths, work, options, tokens };
  const deployment = await startDeployment(kind, place, { surroundings, watch }).catch(
    async (error: unknown) => {
      await surroundings.close();
      throw error;
    },
  );
  try {
    return await bedOn(deployment, kind, { place, surroundings, watch });
  } catch (error) {
    await deployment.stop();
    await surroundings.close();
    throw error;
  }
}

async function bedOn(
  deployment: LocalDeployment,
  kind: BedKind,
  {
    place: { paths, options, tokens },
    surroundings,
    watch,
  }: { place: Place; surroundings: Surroundings; watch: ProcessWatch },
): Promise<Bed> {
  const nats = await connectNats(surroundings.access?.('soak') ?? deployment.natsAccess('soak'));
  const { ca } = surroundings;
  const clients = deployment
    .processes()
    .filter(({ name }) => name.startsWith('coordinator'))
    .map(({ address }) => connect({ address, token: tokens.good, ...(ca ? { tls: { ca } } : {}) }));
  const processes = (): readonly DeployedProcess[] => [
    ...(surroundings.nats ? [surroundings.nats.process()] : []),
    ...deployment.processes(),
  ];
  return {
    kind,
    paths,
    clients,
    // Data sets are uploaded where no service is to read others' files.
    data:
      kind === 'secured'
        ? { dataset: (await at(clients, 0).uploadDataset(options.rows)).name }
        : options.rows,
    nats,
    scratch: join(deployment.stateDir, 'scratch'),
    store: surroundings.store,
    ca,
    processes,
    takeExits: watch.takeExits,
    takeLines: watch.takeLines,
    startHostileTenant: () =>
      startHostileTenant({
        address: deployment.endpoint,
        token: tokens.hostile,
        model: options.model,
        data: options.rows,
      }),
    close: async () => {
      for (const client of clients) client.close();
      await nats.close().catch(() => undefined);
      await deployment.stop();
      await surroundings.close();
    },
  };
}

/** Of processes that were killed several times. */
const readyWithinMs = 600_000;

/** Resolves when all processes are there and ready. @throws Error after ten minutes */
export async function untilReady(bed: Pick<Bed, 'processes'>): Promise<void> {
  await until(() => bed.processes().every(({ isReady }) => isReady), 'all processes are ready', {
    withinMs: readyWithinMs,
  });
}

/** What a bed has beside what `emloc serve` starts. */
interface Surroundings {
  readonly nats: OwnNats | null;
  readonly store: SmallStore | null;
  readonly ca: Buffer | null;
  readonly env: Readonly<Record<string, string>>;
  readonly flags: (service: Parameters<ReturnType<typeof programsIn>>[0]) => readonly string[];
  /** Null: the deployment's own. */
  readonly access: ((name: string) => NatsAccess) | null;
  close(): Promise<void>;
}

async function surroundingsOf(
  kind: BedKind,
  work: string,
  exited: (process: string, exit: ProcessExit) => void,
): Promise<Surroundings> {
  const onExit = (exit: ProcessExit): void => exited('nats-server', exit);
  const none = { nats: null, store: null, ca: null, env: {}, flags: () => [], access: null };
  if (kind === 'full') {
    const store = openSmallStore(join(work, 'small'));
    const nats = await startOwnNats(
      { storeDir: store.folder, maxStoreBytes: store.maxStoreBytes },
      onExit,
    );
    return {
      ...none,
      nats,
      store,
      access: (name) => ({ servers: [nats.server.url], name }),
      close: async () => {
        await nats.stop();
        store.close();
      },
    };
  }
  if (kind === 'secured') {
    const { nats, authority, ...secured } = await startSecuredNats(work, onExit);
    const { ca = null } = authority.client(null);
    return {
      ...none,
      ...secured,
      nats,
      ca,
      close: () => nats.stop(),
    };
  }
  return { ...none, close: () => Promise.resolve() };
}

interface Place {
  readonly paths: SoakPaths;
  readonly work: string;
  readonly options: BedOptions;
  readonly tokens: Tokens;
}

function startDeployment(
  kind: BedKind,
  { paths, work, options, tokens }: Place,
  { surroundings, watch }: { surroundings: Surroundings; watch: ProcessWatch },
): Promise<LocalDeployment> {
  const ofCoordinator = [
    ...['--model-roots', paths.root, '--data-roots', paths.work],
    ...['--tokens-file', tokens.file, '--stage-silence', stageSilence],
  ];
  const settings = {
    program: programsIn(paths.dist),
    stateDir: join(work, 'state'),
    natsUrl: surroundings.nats?.server.url ?? null,
    port: 0,
    replicas: kind === 'pair' ? { coordinator: 2, 'emulator-builder': 2 } : {},
    policy,
    env: { ...process.env, ...surroundings.env },
    flags: (service: Parameters<ReturnType<typeof programsIn>>[0]) => [
      ...['--log-level', options.logLevel],
      ...surroundings.flags(service),
      ...(service === 'coordinator' ? ofCoordinator : []),
    ],
    observer: { exited: watch.exited },
    onLine: watch.line,
  };
  return startLocalDeployment(settings, { stop: options.signal });
}

interface ProcessWatch {
  readonly exited: (process: string, exit: ProcessExit) => void;
  readonly line: (process: string, line: string) => void;
  readonly takeExits: Bed['takeExits'];
  readonly takeLines: Bed['takeLines'];
}

function watchProcesses(): ProcessWatch {
  const exits: ObservedExit[] = [];
  let lines: string[] = [];
  return {
    exited: (name, { code, signal }) => exits.push({ process: name, code, signal }),
    line: (name, line) => {
      lines.push(`${name} ${line}`);
      if (lines.length > 2 * maxLines) lines = lines.slice(-maxLines);
    },
    takeExits: () => exits.splice(0),
    takeLines: () => lines.splice(0),
  };
}

interface Tokens {
  readonly file: string;
  readonly good: string;
  readonly hostile: string;
}

async function writeTokens(work: string): Promise<Tokens> {
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
