import type { TensorRecord } from '@emloc/pipeline';
import { RpcError } from '@emloc/rpc';
import { createWorkerHost, moved, type RunOptions, type WorkerHost } from '@emloc/service-kit';
import type { Engine } from './engine.js';
import type { EngineWorkerContract } from './worker-contract.js';

export interface EngineOptions {
  readonly planDevice: string;
  /** 0: all cores. */
  readonly planThreads: number;
}

type Task<K> = Extract<EngineWorkerContract['task'], { readonly kind: K }>;
type Result<K> = Extract<EngineWorkerContract['result'], { readonly kind: K }>;

const maxPlans = 2;

/** The engine in threads of its own: one for jobs, and one for each plan, which may take long and is ended when nobody waits for it. */
export function startEngine({ planDevice, planThreads }: EngineOptions): Engine {
  const start = (): WorkerHost<EngineWorkerContract> => createWorkerHost<EngineWorkerContract>(new URL('./worker.js', import.meta.url));
  const jobs = start();
  const plans = new Set<WorkerHost<EngineWorkerContract>>();
  return {
    inspect: (options) => run(jobs, { kind: 'inspect', options }),
    plan: async (options, signal) => {
      if (plans.size >= maxPlans) throw new RpcError('RESOURCE_EXHAUSTED', `${plans.size} plans are being made, ${maxPlans} can be at a time`, { reason: 'TOO_MANY_PLANS', retryDelayMs: 1000 });
      const host = start();
      plans.add(host);
      const end = (): void => void host.close();
      signal.addEventListener('abort', end, { once: true });
      try {
        return (await run(host, { kind: 'plan', options, device: planDevice, threads: planThreads === 0 ? undefined : planThreads })).plan;
      } finally {
        signal.removeEventListener('abort', end);
        plans.delete(host);
        await host.close();
      }
    },
    writeOutcome: (task, adapters, signal) => run(jobs, { kind: 'outcome', ...task }, {
      signal,
      onRequest: async (name) => {
        const record: TensorRecord = await adapters(name);
        return moved(record, [...new Set(record.tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer))]);
      },
    }),
    close: async () => {
      await Promise.all([jobs, ...plans].map((host) => host.close()));
    },
  };
}

async function run<K extends EngineWorkerContract['task']['kind']>(host: WorkerHost<EngineWorkerContract>, task: Task<K>, options: RunOptions<EngineWorkerContract> = {}): Promise<Result<K>> {
  return (await host.run(task, options)) as Result<K>;
}
