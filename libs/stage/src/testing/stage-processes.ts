import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { JobSpecSchema, toTuneOptionsMessage, type StageEvent } from '@emloc/contracts';
import { jobNameOf, openJobStorage, type JobStorage } from '@emloc/job-storage';
import { connectNats, openLane, type WorkQueue, type WorkState } from '@emloc/nats';
import { startNatsServer } from '@emloc/nats/testing';
import { defaultTuneOptions, type TuneOptions } from '@emloc/pipeline';
import { clientCredentials, RpcChannel } from '@emloc/rpc';
import { takes, until } from '@emloc/time/testing';

/** A process, and what it says. */
export interface Spawned {
  readonly child: ChildProcess;
  /** Exit code; null: a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Everything that it has written so far. */
  output(): string;
}

/** A service that listens. */
export interface Listening extends Spawned {
  readonly address: string;
  readonly metricsPort: number;
}

/** A stage service that listens. */
export interface StageProcess extends Listening {
  /** Of probes and metrics. */
  readonly http: string;
}

interface SpawnOptions {
  readonly args?: readonly string[];
  /** Name among the replicas, and of the device, which no other process has. */
  readonly instance?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Stage services as processes of their own, and the NATS server that they share, all in one folder.
 */
export interface StageProcesses {
  readonly folder: string;
  /** A file of some rows of the examples. */
  readonly rows: string;
  readonly storage: JobStorage;
  spawn(name: string, options?: SpawnOptions): Spawned;
  start(name: string, options?: SpawnOptions): Promise<StageProcess>;
  /** @param token null: none */
  channelTo(address: string, token?: string | null): RpcChannel;
  /** What every stage call of the job holds. */
  stageCall(
    job: string,
    token: number,
    options: Pick<TuneOptions, 'model' | 'data'> & Partial<TuneOptions>,
  ): ReturnType<typeof callOf>;
  /** Ends all processes that are left. */
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const stageToken = 'token-of-the-stages';

/** @param programs that are bundled if they are not yet */
export async function startStageProcesses(programs: readonly string[]): Promise<StageProcesses> {
  await bundle(programs);
  const folder = mkdtempSync(join(tmpdir(), 'emloc-services-'));
  const rows = join(folder, 'rows.jsonl');
  const lines = readFileSync(join(root, 'examples/data/train.jsonl'), 'utf8').split('\n');
  writeFileSync(rows, `${lines.slice(0, 160).join('\n')}\n`);
  const server = await startNatsServer({ storeDir: join(folder, 'nats') });
  const nats = await connectNats({ servers: [server.url] });
  const lane = await openLane({ servers: [server.url] });
  const storage = await openJobStorage({ nats, lane });
  const children: ChildProcess[] = [];
  const channels: RpcChannel[] = [];
  const spawnOne: StageProcesses['spawn'] = (
    name,
    { args = [], instance = name, env = { EMLOC_STAGE_TOKEN: stageToken } } = {},
  ) => {
    const flags = [
      '--nats-url',
      server.url,
      '--port',
      '0',
      '--metrics-port',
      '0',
      '--instance',
      instance,
      '--device-name',
      instance,
      '--scratch-dir',
      folder,
      '--threads',
      '1',
      ...args,
    ];
    const spawned = spawnProgram(join(root, 'dist', name, `${name}.mjs`), flags, env);
    children.push(spawned.child);
    return spawned;
  };
  return {
    folder,
    rows,
    storage,
    spawn: spawnOne,
    start: async (name, options) => {
      const service = await listening(spawnOne(name, options));
      return { ...service, http: `http://127.0.0.1:${service.metricsPort}` };
    },
    channelTo: (address, token = stageToken) => {
      const channel = new RpcChannel({ address, credentials: clientCredentials(null), token });
      channels.push(channel);
      return channel;
    },
    stageCall: (job, token, options) => callOf(storage, { job, token, options }),
    stop: async () => {
      for (const child of children) child.kill('SIGKILL');
      for (const channel of channels) channel.close();
      lane.close();
      await nats.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function bundle(programs: readonly string[]): Promise<void> {
  const { ensureBundled, listPrograms } = (await import(
    pathToFileURL(join(root, 'tools/setup/bundle.mjs')).href
  )) as {
    listPrograms(): { name: string }[];
    ensureBundled(program: { name: string }): Promise<string>;
  };
  for (const program of listPrograms().filter(({ name }) => programs.includes(name)))
    await ensureBundled(program);
}

/**
 * @param env besides this process's environment, of which nothing that configures a service is
 * passed on
 */
export function spawnProgram(
  program: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Spawned {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^EMLOC_(NATS|STAGE|TLS|TOKENS|METRICS)_?/.test(name),
    ),
  );
  const child = spawn(process.execPath, ['--enable-source-maps', program, ...flags], {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      output += text.toString();
    });
  // `close` comes when the last output has been read.
  return {
    child,
    ended: new Promise((resolve) => {
      child.once('close', resolve);
    }),
    output: () => output,
  };
}

/** Waits until a service says where it listens. @throws with its output when it ends before */
export function listening(spawned: Spawned): Promise<Listening> {
  return until(async () => {
    const line = spawned
      .output()
      .split('\n')
      .slice(0, -1)
      .find((one) => one.includes('"msg":"listening"'));
    if (line)
      return { ...spawned, ...(JSON.parse(line) as { address: string; metricsPort: number }) };
    if (spawned.child.exitCode !== null || spawned.child.signalCode !== null)
      throw new Error(`the service ended with ${await spawned.ended}: ${spawned.output()}`);
    return null;
  }, 'the service listens');
}

async function callOf(
  storage: JobStorage,
  {
    job,
    token,
    options,
  }: {
    job: string;
    token: number;
    options: Partial<TuneOptions> & Pick<TuneOptions, 'model' | 'data'>;
  },
) {
  const spec = await storage.writeSpec(
    create(JobSpecSchema, {
      job: jobNameOf(job),
      options: toTuneOptionsMessage({ ...defaultTuneOptions, ...options }),
    }),
  );
  return { call: { job: jobNameOf(job), attempt: 1, fencingToken: BigInt(token), spec } };
}

interface StageResponse {
  readonly content:
    | { readonly case: 'event'; readonly value: StageEvent }
    | { readonly case: 'result'; readonly value: unknown }
    | { readonly case: undefined };
}

type ResultOf<Response extends StageResponse> = Extract<
  Response['content'],
  { readonly case: 'result' }
>['value'];

/** Reads a stage call to its end. @returns its result @throws RpcError of the call */
export async function resultOf<Response extends StageResponse>(
  responses: AsyncIterable<Response>,
  onEvent: (event: StageEvent['event']) => void = () => undefined,
): Promise<ResultOf<Response>> {
  const results: unknown[] = [];
  for await (const { content } of responses) {
    if (content.case === 'event') onEvent(content.value.event);
    if (content.case === 'result') results.push(content.value);
  }
  if (results.length !== 1) throw new Error(`the call ended with ${results.length} results`);
  return results[0] as ResultOf<Response>;
}

/**
 * Stops a process (SIGSTOP) at a moment at which it has an item of the queue.
 * @returns the item's key
 */
export async function stopHolding<T, R>(
  queue: WorkQueue<T, R>,
  { owner, child }: { readonly owner: string; readonly child: ChildProcess },
): Promise<string> {
  const hasIt = (state: WorkState<R> | undefined): boolean =>
    state?.state === 'running' && state.owner === owner;
  for await (const { key, state } of queue.watch('>', new AbortController().signal)) {
    if (!hasIt(state)) continue;
    child.kill('SIGSTOP');
    // For what it had sent before, and the server has not read yet.
    await takes(100);
    if (hasIt(await queue.state(key))) return key;
    child.kill('SIGCONT');
  }
  throw new Error('the watch has ended');
}

/** The results that stood in the records of a queue, by key. */
export interface WatchedResults<R> {
  readonly results: ReadonlyMap<string, readonly R[]>;
  stop(): Promise<void>;
}

/** Notes every result that is recorded from now on. */
export function watchResults<T, R>(queue: WorkQueue<T, R>): WatchedResults<R> {
  const stop = new AbortController();
  const results = new Map<string, R[]>();
  const watching = (async () => {
    for await (const { key, state } of queue.watch('>', stop.signal)) {
      if (state.state === 'done') results.set(key, [...(results.get(key) ?? []), state.result]);
    }
  })();
  return {
    results,
    stop: async () => {
      stop.abort();
      await watching;
    },
  };
}
