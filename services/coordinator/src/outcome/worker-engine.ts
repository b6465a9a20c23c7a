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
/**
 * Reading the headers of a checkpoint takes a moment; a pattern that a client made up may take for
 * ever.
 */
const inspectTimeoutMs = 20_000;

/**
 * The engine in threads of its own: one for outcomes, one for inspections, and one for each plan. A
 * thread that nobody waits for any more is ended.
 */
export function startEngine({ planDevice, planThreads }: EngineOptions): Engine {
  const start = (): WorkerHost<EngineWorkerContract> =>
    createWorkerHost<EngineWorkerContract>(new URL('./worker.js', import.meta.url));
  const outcomes = start();
  let inspections = start();
  let plans = 0;
  const isOpen = new AbortController();
  const restartInspections = (): void => {
    void inspections.close();
    inspections = start();
  };
  return {
    inspect: (options) =>
      endedOn(AbortSignal.timeout(inspectTimeoutMs), restartInspections, () =>
        run(inspections, { kind: 'inspect', options }),
      ),
    plan: async (options, signal) => {
      if (plans >= maxPlans)
        throw new RpcError(
          'RESOURCE_EXHAUSTED',
          `${plans} plans are being made, ${maxPlans} can be at a time`,
          { reason: 'TOO_MANY_PLANS', retryDelayMs: 1000 },
        );
      const host = start();
      plans += 1;
      try {
        const task = {
          kind: 'plan',
          options,
          device: planDevice,
          threads: planThreads === 0 ? undefined : planThreads,
        } as const;
        return (
          await endedOn(
            AbortSignal.any([signal, isOpen.signal]),
            () => void host.close(),
            () => run(host, task),
          )
        ).plan;
      } finally {
        plans -= 1;
        await host.close();
      }
    },
    writeOutcome: (task, adapters, signal) =>
      run(
        outcomes,
        { kind: 'outcome', ...task },
        {
          signal,
          onRequest: async (name) => {
            const record: TensorRecord = await adapters(name);
            return moved(record, [
              ...new Set(record.tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer)),
            ]);
          },
        },
      ),
    close: async () => {
      isOpen.abort();
      await Promise.all([outcomes, inspections].map((host) => host.close()));
    },
  };
}

/** Work that is ended from outside when the signal aborts. */
async function endedOn<T>(
  signal: AbortSignal,
  end: () => void,
  work: () => Promise<T>,
): Promise<T> {
  signal.addEventListener('abort', end, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function run<K extends EngineWorkerContract['task']['kind']>(
  host: WorkerHost<EngineWorkerContract>,
  task: Task<K>,
  options: RunOptions<EngineWorkerContract> = {},
): Promise<Result<K>> {
  return (await host.run(task, options)) as Result<K>;
}
