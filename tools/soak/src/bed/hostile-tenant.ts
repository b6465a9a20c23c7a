import { setMaxListeners } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobService } from '@emloc/contracts';
import {
  clientCredentials,
  RpcChannel,
  RpcError,
  type Callers,
  type CallOptions,
} from '@emloc/rpc';

export interface HostileTenantOptions {
  /** `host:port` of the coordinator. */
  readonly address: string;
  readonly token: string;
  /** A model that it may use. */
  readonly model: string;
  /** Rows that it may use. */
  readonly data: string;
}

export interface HostileTenant {
  /** @returns errors of its calls that no coordinator should give, and how often */
  stop(): Promise<readonly string[]>;
}

/** Backtracks for longer than anybody waits, on the name of any layer. */
const endlessPattern = '(?:[a-z_.0-9]+)+!';
/** Where processes share a machine, more calls would keep the processor busy by themselves. */
const parallel = { checks: 24, plans: 8, uploads: 8, lists: 8, connections: 200 };
const pauseMs = 100;
/** Answers that tell of a defect, whatever is sent. */
const defects: readonly string[] = ['INTERNAL', 'UNKNOWN', 'DATA_LOSS'];

type Jobs = Callers<typeof JobService, CallOptions>;

/** A tenant that keeps a coordinator as busy as it can, until it is told to stop. */
export function startHostileTenant(options: HostileTenantOptions): HostileTenant {
  const ending = new AbortController();
  // Each call listens to it.
  setMaxListeners(0, ending.signal);
  const channel = new RpcChannel({
    address: options.address,
    credentials: clientCredentials(null),
    token: options.token,
    retry: { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 },
  });
  const jobs = channel.client(JobService);
  const counts = new Map<string, number>();
  const again = async (call: () => Promise<unknown>): Promise<void> => {
    while (!ending.signal.aborted) {
      await call().catch((error: unknown) => {
        const code = error instanceof RpcError ? `${error.code} ${error.message}` : String(error);
        counts.set(code, (counts.get(code) ?? 0) + 1);
      });
      await sleep(pauseMs);
    }
  };
  const running = callsOf(jobs, options, ending.signal).flatMap(({ count, call }) =>
    Array.from({ length: count }, () => again(call)),
  );
  const sockets = Array.from({ length: parallel.connections }, () =>
    holdConnection(options.address, ending.signal),
  );
  return {
    stop: async () => {
      ending.abort(new Error('the run is over'));
      await Promise.all([...running, ...sockets]);
      channel.close();
      return [...counts]
        .filter(([code]) => defects.some((defect) => code.startsWith(defect)))
        .map(([code, count]) => `the hostile tenant got ${count} times: ${code}`);
    },
  };
}

function callsOf(
  jobs: Jobs,
  { model, data }: HostileTenantOptions,
  signal: AbortSignal,
): readonly { readonly count: number; readonly call: () => Promise<unknown> }[] {
  const source = { source: { case: 'path' as const, value: data } };
  const slow = { model, data: source, targets: endlessPattern };
  const call = { signal };
  return [
    {
      count: parallel.checks,
      call: () => jobs.createJob({ requestId: crypto.randomUUID(), job: { options: slow } }, call),
    },
    {
      count: parallel.plans,
      call: () =>
        jobs.planJob(
          { options: { model, data: source, ratios: [`${endlessPattern}=0.5`, '0.25'] } },
          call,
        ),
    },
    { count: parallel.uploads, call: () => jobs.uploadDataset(heldUpload(signal), call) },
    { count: parallel.lists, call: () => jobs.listJobs({ pageSize: 1000 }, call) },
  ];
}

/** An upload of which a part is sent, and then nothing any more. */
async function* heldUpload(signal: AbortSignal) {
  const value = { displayName: 'held', sizeBytes: 2n ** 26n, sha256: 'a'.repeat(64) };
  yield { content: { case: 'upload' as const, value } };
  yield { content: { case: 'data' as const, value: new Uint8Array(2 ** 20) } };
  await sleep(600_000, undefined, { signal, ref: false }).catch(() => undefined);
}

/** A connection over which nothing is said, made again when it is closed. */
async function holdConnection(address: string, signal: AbortSignal): Promise<void> {
  const [host, port] = address.split(':');
  while (!signal.aborted) {
    const socket = connectTcp(Number(port), host).on('error', () => undefined);
    await closed(socket.resume(), signal);
    await sleep(pauseMs);
  }
}

function closed(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => void socket.destroy();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    socket.once('close', () => {
      signal.removeEventListener('abort', end);
      resolve();
    });
  });
}
