import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { at } from '@emloc/checked';
import { findNatsServer } from '@emloc/nats';
import { startNatsServer } from '@emloc/nats/testing';

import { createBlockSink, createBlockSource } from './bus-blocks.js';
import { busPaths } from './bus-paths.js';
import { busTable, type BusResult } from './bus-table.js';
import type { BusPathName, BusTask } from './bus-task.js';
import { warmPageCache, warmServer } from './bus-warm.js';

const help = `usage: npm run bench -- bus [--size-mib 1024] [--paths tcp,grpc,grpc-window,store] [--rounds 3] [--cold-server] [--json]
Moves a tensor from one Node process to another over a raw TCP socket, gRPC and the store of tensors, and compares. Every path copies
the bytes out of the same source and into the same sink; rounds alternate the paths, and the median counts. The clock runs from
before the first byte until the receiver has the last; the store is written and then read, each on its own clock. Sender, receiver
and nats-server are new for each transfer; the server's heap and the memory for its files have been touched once, as where a server
runs for long, unless --cold-server is given.
Needs nats-server on PATH.
`;

type FromReceiver =
  | { readonly type: 'ready'; readonly address: string }
  | {
      readonly type: 'finished';
      readonly correct: boolean;
      readonly extraBytes: number;
      readonly endMs: number;
      readonly readSeconds: number;
    };

/** `bench bus`: also the receiving process, which it starts from the same file. */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'size-mib': { type: 'string', default: '1024' },
      paths: { type: 'string', default: 'tcp,grpc,grpc-window,store' },
      rounds: { type: 'string', default: '3' },
      'cold-server': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      receive: { type: 'string' },
      send: { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  if (values.receive !== undefined) return receive(JSON.parse(values.receive) as BusTask);
  if (values.send !== undefined)
    return send(JSON.parse(values.send) as BusTask & { address: string });
  const paths = values.paths
    .split(',')
    .filter((name): name is BusPathName => Object.hasOwn(busPaths, name));
  const results = await compare(paths, {
    totalBytes: Number(values['size-mib']) * 1024 * 1024,
    rounds: Number(values.rounds),
    coldServer: values['cold-server'],
  });
  process.stdout.write(
    values.json
      ? `${JSON.stringify(results)}\n`
      : `${cpus().length} cores, ${cpus().at(0)?.model ?? 'unknown'}, ${process.version}\n${busTable(results)}`,
  );
  return results.every(({ correct }) => correct) ? 0 : 1;
}

interface Comparison {
  readonly totalBytes: number;
  readonly rounds: number;
  readonly coldServer: boolean;
}

async function compare(
  paths: readonly BusPathName[],
  { totalBytes, rounds, coldServer }: Comparison,
): Promise<BusResult[]> {
  findNatsServer();
  const row = (name: BusResult['name'], title: string): BusResult => ({
    name,
    title,
    totalBytes,
    seconds: [],
    senderExtraBytes: 0,
    receiverExtraBytes: 0,
    correct: true,
  });
  const rowsOf = new Map(
    paths.map((path) => [
      path,
      path === 'store'
        ? [row('write', 'tensor store, write'), row('read', 'tensor store, read')]
        : [row(path, busPaths[path].title)],
    ]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [path, rows] of rowsOf) {
      const run = await runOnce(path, totalBytes, coldServer);
      for (const result of rows) {
        const seconds =
          result.name === 'write'
            ? run.sendSeconds
            : result.name === 'read'
              ? run.readSeconds
              : run.seconds;
        result.seconds.push(seconds);
        result.senderExtraBytes = Math.max(result.senderExtraBytes, run.senderExtraBytes);
        result.receiverExtraBytes = Math.max(result.receiverExtraBytes, run.receiverExtraBytes);
        result.correct &&= run.correct;
        process.stderr.write(
          `round ${round + 1}: ${result.name}: ${(totalBytes / 1e6 / seconds).toFixed(0)} MB/s\n`,
        );
      }
    }
  }
  return [...rowsOf.values()].flat();
}

interface BusRun {
  /** From before the first byte was sent until the last was received. */
  readonly seconds: number;
  readonly sendSeconds: number;
  readonly readSeconds: number;
  readonly senderExtraBytes: number;
  readonly receiverExtraBytes: number;
  readonly correct: boolean;
}

/** A server, a receiver and a sender of its own for each transfer, so that none warms the next. */
async function runOnce(
  path: BusPathName,
  totalBytes: number,
  coldServer: boolean,
): Promise<BusRun> {
  const storeDir = await mkdtemp(join(tmpdir(), 'emloc-bench-bus-'));
  const server = path === 'store' ? await startNatsServer({ storeDir }) : undefined;
  try {
    if (server && !coldServer) await warmServer(server.url);
    if (server && !coldServer) await warmPageCache(storeDir, totalBytes);
    const task: BusTask = { path, totalBytes, natsUrl: server?.url ?? '' };
    const receiver = start<FromReceiver>('--receive', task);
    const ready = await receiver.next();
    if (ready.type !== 'ready') throw new Error('the receiver did not say that it is ready');
    const sender = start<{ startMs: number; seconds: number; extraBytes: number }>('--send', {
      ...task,
      address: ready.address,
    });
    const [sent, finished] = await Promise.all([sender.next(), receiver.next()]);
    await Promise.all([sender.ended, receiver.ended]);
    if (finished.type !== 'finished') throw new Error('the receiver did not finish');
    const { correct, readSeconds } = finished;
    return {
      seconds: (finished.endMs - sent.startMs) / 1000,
      sendSeconds: sent.seconds,
      readSeconds,
      senderExtraBytes: sent.extraBytes,
      receiverExtraBytes: finished.extraBytes,
      correct,
    };
  } finally {
    await server?.stop();
    await rm(storeDir, { recursive: true, force: true });
  }
}

function start<T>(role: string, task: object): { next(): Promise<T>; ended: Promise<void> } {
  // Without our own execArgv: the source map that the first error loads would count as memory of
  // the path.
  const child = fork(at(process.argv, 1), ['bus', role, JSON.stringify(task)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const queue: T[] = [];
  const waiting: ((message: T) => void)[] = [];
  child.on('message', (message: T) => {
    const take = waiting.shift();
    if (take) take(message);
    else queue.push(message);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const died = ended.then(() => {
    throw new Error(`bench bus ${role} ended early`);
  });
  died.catch(() => undefined);
  const next = (): Promise<T> => {
    const message = queue.shift();
    return message === undefined
      ? Promise.race([
          new Promise<T>((resolve) => {
            waiting.push(resolve);
          }),
          died,
        ])
      : Promise.resolve(message);
  };
  return { next, ended };
}

async function receive(task: BusTask): Promise<number> {
  const sink = createBlockSink();
  const { address, finished } = await busPaths[task.path].receive(task, sink);
  const before = process.resourceUsage().maxRSS;
  process.send?.({ type: 'ready', address } satisfies FromReceiver);
  const readSeconds = (await finished) ?? 0;
  const endMs = epochMs();
  const extraBytes = (process.resourceUsage().maxRSS - before) * 1024;
  await report({
    type: 'finished',
    correct: sink.isEndOf(task.totalBytes),
    extraBytes,
    endMs,
    readSeconds,
  } satisfies FromReceiver);
  return 0;
}

async function send(task: BusTask & { address: string }): Promise<number> {
  const source = createBlockSource();
  const { send: transfer, close } = await busPaths[task.path].prepare(task, task.address);
  const before = process.resourceUsage().maxRSS;
  const startMs = epochMs();
  await transfer(source);
  const seconds = (epochMs() - startMs) / 1000;
  await report({ startMs, seconds, extraBytes: (process.resourceUsage().maxRSS - before) * 1024 });
  await close();
  return 0;
}

/** The same clock in every process of this machine. */
function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Then the channel to the parent must not keep this process. */
async function report(message: object): Promise<void> {
  await new Promise<void>((resolve) => {
    process.send?.(message, undefined, {}, () => resolve());
  });
  process.disconnect();
}
