import type { TensorRecord } from '@emloc/pipeline';
import { createWorkerHost, moved, type RunOptions, type WorkerHost } from '@emloc/service/worker';

import type { Engine } from './engine.js';
import { errorOfStep, StepWatch } from './step-limits.js';
import type { EngineWorkerContract } from './worker-contract.js';

export interface EngineOptions {
  readonly planDevice: string;
  /** 0: `OMP_NUM_THREADS`, else all cores. */
  readonly planThreads: number;
}

type Host = WorkerHost<EngineWorkerContract>;
type Task<K> = Extract<EngineWorkerContract['task'], { readonly kind: K }>;
type Result<K> = Extract<EngineWorkerContract['result'], { readonly kind: K }>;

/** What threads run, and the heap of one that does what a client asks for, without tensors. */
const defaultThreads = Object.freeze({
  file: new URL('./worker.js', import.meta.url),
  heapMib: { inspect: 1024, plan: 2048 },
});
/**
 * Threads that wait for the next inspections, since one that has to load its program first takes a
 * second where the processor is busy: one more than a tenant can have at a time.
 */
const maxIdle = 3;

/**
 * The engine in threads of its own: one for outcomes, and one for each inspection and each plan,
 * which is ended when it takes too long or when its caller has gone.
 */
export function startEngine(
  { planDevice, planThreads }: EngineOptions,
  { file, heapMib } = defaultThreads,
): Engine {
  const outcomes: Host = createWorkerHost(file);
  const start = (kind: 'inspect' | 'plan'): Host =>
    createWorkerHost(file, { maxOldGenerationMib: heapMib[kind] });
  const idle: Host[] = [];
  const closing = new AbortController();
  const isOpen = (): boolean => !closing.signal.aborted;
  const keep = (host: Host): Promise<void> | undefined => {
    if (!isOpen() || idle.length >= maxIdle) return host.close();
    idle.push(host);
    return undefined;
  };
  const starting = new Set<Host>();
  const startSpare = async (): Promise<void> => {
    const host = start('inspect');
    starting.add(host);
    const isReady = await host.run({ kind: 'ready' }).then(
      () => true,
      () => false,
    );
    starting.delete(host);
    await (isReady ? keep(host) : host.close());
    if (isReady) startSpares();
  };
  // One after the other: each takes the processor from whoever is served.
  const startSpares = (): void => {
    if (isOpen() && starting.size === 0 && idle.length < maxIdle) void startSpare();
  };
  startSpares();
  return {
    inspect: async (options, signal) => {
      const host = idle.shift() ?? start('inspect');
      startSpares();
      const ended = AbortSignal.any([signal, closing.signal]);
      const limited = new LimitedRun(host, ended, heapMib.inspect);
      try {
        return await limited.run({ kind: 'inspect', options });
      } finally {
        await (limited.isSpent ? host.close() : keep(host));
      }
    },
    plan: async (options, signal) => {
      const host = start('plan');
      const ended = AbortSignal.any([signal, closing.signal]);
      const threads = planThreads === 0 ? undefined : planThreads;
      try {
        const task = { kind: 'plan', options, device: planDevice, threads } as const;
        const { plan, choice } = await new LimitedRun(host, ended, heapMib.plan).run(task);
        return { plan, choice };
      } finally {
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
      closing.abort(new Error('the coordinator ends'));
      await Promise.all([outcomes, ...idle, ...starting].map((host) => host.close()));
    },
  };
}

/** One task, whose thread is ended when a step takes too long or when the signal aborts. */
class LimitedRun {
  readonly #watch: StepWatch;
  readonly #ended: AbortSignal;

  constructor(
    private readonly host: Host,
    signal: AbortSignal,
    private readonly heapMib: number,
  ) {
    this.#watch = new StepWatch(() => host.lowerPriority());
    this.#ended = AbortSignal.any([signal, this.#watch.passed]);
  }

  /** Whether the thread cannot be used any more, or not as it was. */
  get isSpent(): boolean {
    return this.#ended.aborted || this.#watch.isSlow;
  }

  /** @throws the signal's reason; what `errorOfStep` says */
  async run<K extends 'inspect' | 'plan'>(task: Task<K>): Promise<Result<K>> {
    const end = (): void => void this.host.close();
    try {
      this.#ended.throwIfAborted();
      this.#ended.addEventListener('abort', end, { once: true });
      return await run(this.host, task, { onEvent: (step) => this.#watch.begin(step) });
    } catch (error) {
      this.#ended.throwIfAborted();
      throw errorOfStep(error, this.#watch.step, this.heapMib);
    } finally {
      this.#ended.removeEventListener('abort', end);
      this.#watch.end();
    }
  }
}

async function run<K extends EngineWorkerContract['task']['kind']>(
  host: Host,
  task: Task<K>,
  options: RunOptions<EngineWorkerContract> = {},
): Promise<Result<K>> {
  return (await host.run(task, options)) as Result<K>;
}
