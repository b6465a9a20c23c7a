import { randomInt } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  CalibratorService,
  CorrectorService,
  EmulatorBuilderService,
  Stage,
  TrainerService,
  type StageCall,
  type StageEventSchema,
} from '@emloc/contracts';
import { anyone, RpcError, RpcServer, serverCredentials } from '@emloc/rpc';

import type { StageName } from '../src/jobs/record.js';

type Event = MessageInitShape<typeof StageEventSchema>;

/** A call that a fake stage has got. */
interface SeenCall {
  readonly stage: StageName;
  readonly job: string;
  readonly attempt: number;
  readonly token: number;
}

interface ScriptContext {
  /** Aborts when the coordinator ends the call. */
  readonly signal: AbortSignal;
  readonly call: StageCall;
}

/** What a stage does before its result: tells events, throws, waits. */
export type Script = (context: ScriptContext) => AsyncIterable<Event>;

/** All stage services in one server. */
export interface FakeStages {
  readonly address: string;
  readonly calls: SeenCall[];
  /** By stage; without one the stage has its result at once. */
  readonly scripts: Partial<Record<StageName, Script>>;
  /** As a killed process: connections break. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const adapter = (name: string) => ({ bucket: 'emloc-tensors', name, sizeBytes: 1n, sha256: 'ab' });

const results = {
  calibrate: {
    report: { stage: Stage.CALIBRATE, seconds: 1, peakDeviceBytes: 10n, device: 'fake' },
    layers: 2,
    tokens: 100n,
  },
  emulate: {
    report: { stage: Stage.EMULATE, seconds: 2, peakDeviceBytes: 20n, device: 'fake' },
    emulator: {
      parameters: 5n,
      originalParameters: 10n,
      worstLayer: { name: 'l', relativeError: 0.25 },
      layers: [{ name: 'l', rank: 2, relativeError: 0.25 }],
    },
  },
  train: {
    report: { stage: Stage.TRAIN, seconds: 3, peakDeviceBytes: 30n, device: 'fake' },
    train: { steps: 4, tokens: 50n, tokensPerSecond: 2, finalLoss: 0.125 },
    lossBefore: 3,
    lossAfter: 2,
    adapter: adapter('trained'),
  },
  correct: {
    report: { stage: Stage.CORRECT, seconds: 4, peakDeviceBytes: 25n, device: 'fake' },
    correction: { chosen: '3', scores: { none: 1.5, 1: 1.25, 3: 1 } },
    baseLoss: 4,
    adapter: adapter('corrected'),
  },
  refine: {
    report: { stage: Stage.REFINE, seconds: 5, peakDeviceBytes: 35n, device: 'fake' },
    refinement: { steps: 1, kept: true },
    loss: 0.5,
    adapter: adapter('refined'),
  },
};

export async function startFakeStages(): Promise<FakeStages> {
  const calls: SeenCall[] = [];
  const scripts: Partial<Record<StageName, Script>> = {};
  // Where there are many loopback addresses, nobody takes the port while the stages are away.
  const host = process.platform === 'linux' ? `127.${randomInt(1, 255)}.0.3` : '127.0.0.1';
  let port = 0;
  let server = await listen(0);
  async function listen(at: number): Promise<RpcServer> {
    const started = new RpcServer();
    addStages(started, calls, scripts);
    ({ port } = await started.listen({
      host,
      port: at,
      credentials: serverCredentials(null),
    }));
    return started;
  }
  return {
    address: `${host}:${port}`,
    calls,
    scripts,
    kill: async () => void (await server.close(0)),
    restart: async () => {
      server = await listen(port);
    },
    close: async () => void (await server.close(0)),
  };
}

function addStages(
  server: RpcServer,
  calls: SeenCall[],
  scripts: Partial<Record<StageName, Script>>,
): void {
  async function* run<R>(
    stage: StageName,
    call: StageCall | undefined,
    { signal, result }: { signal: AbortSignal; result: R },
  ) {
    if (!call) throw new RpcError('INVALID_ARGUMENT', 'call is required');
    calls.push({ stage, job: call.job, attempt: call.attempt, token: Number(call.fencingToken) });
    yield {
      content: {
        case: 'event' as const,
        value: { event: { case: 'accepted' as const, value: { instance: 'fake' } } },
      },
    };
    for await (const event of scripts[stage]?.({ signal, call }) ?? [])
      yield { content: { case: 'event' as const, value: event } };
    yield { content: { case: 'result' as const, value: result } };
  }
  const options = { authenticate: anyone };
  server.addService(
    CalibratorService,
    {
      calibrate: ({ call }, { signal }) =>
        run('calibrate', call, { signal, result: results.calibrate }),
    },
    options,
  );
  server.addService(
    EmulatorBuilderService,
    {
      buildEmulator: ({ call }, { signal }) =>
        run('emulate', call, { signal, result: results.emulate }),
    },
    options,
  );
  server.addService(
    TrainerService,
    {
      train: ({ call }, { signal }) => run('train', call, { signal, result: results.train }),
      refine: ({ call }, { signal }) => run('refine', call, { signal, result: results.refine }),
    },
    options,
  );
  server.addService(
    CorrectorService,
    {
      correct: ({ call }, { signal }) => run('correct', call, { signal, result: results.correct }),
      merge: ({ call }, { signal }) =>
        run('merge', call, {
          signal,
          result: {
            report: { stage: Stage.MERGE, seconds: 6, peakDeviceBytes: 5n },
            files: [
              {
                path: 'config.json',
                object: {
                  ...adapter(`${call?.job.slice(5)}/merged/config.json`),
                  bucket: 'emloc-artifacts',
                },
              },
            ],
          },
        }),
    },
    options,
  );
}

/** Waits until the coordinator ends the call. */
export function untilEnded(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Events of so many optimizer steps. */
export function stepEvent(step: number, steps = 10): Event {
  return {
    event: {
      case: 'step',
      value: {
        stage: Stage.TRAIN,
        step,
        steps,
        loss: 1 / step,
        learningRate: 0.1,
        gradientNorm: 1,
        tokens: 8n,
        seconds: 0.01,
      },
    },
  };
}
