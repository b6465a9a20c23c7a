import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  CalibrateRequestSchema,
  CalibrateResultSchema,
  JobSpecSchema,
  toTuneOptionsMessage,
  type CalibrateRequest,
  type JobSpecReference,
} from '@emloc/contracts';
import { jobNameOf, type JobStorage } from '@emloc/job-storage';
import { startStorage, type StorageHarness } from '@emloc/job-storage/testing';
import { defaultTuneOptions } from '@emloc/pipeline';
import { RpcError } from '@emloc/rpc';
import { createTelemetry, type Telemetry } from '@emloc/telemetry';
import type { Clock } from '@emloc/time';

import type { EngineThread } from '../src/service/engine-thread.js';
import type { StageAttempt, StageHandler } from '../src/service/stage-attempt.js';
import { StageCalls } from '../src/service/stage-calls.js';

type Handler = StageHandler<CalibrateRequest, typeof CalibrateResultSchema>;

/** What a call gave, as it came. */
interface Told {
  readonly events: string[];
  readonly result: Promise<number>;
  stop(): void;
}

/** Stage calls over a real storage, with a handler that a test writes. */
export interface StageHarness {
  readonly storage: JobStorage;
  readonly nats: StorageHarness['nats'];
  readonly server: StorageHarness['server'];
  readonly folder: string;
  /** As another process of the service would serve them. */
  open(options?: {
    readonly engine?: EngineThread;
    readonly heartbeatMs?: number;
    readonly abandonMs?: number;
    readonly clock?: Clock;
  }): Stage;
  stop(): Promise<void>;
}

export interface Stage {
  call(
    run: (attempt: StageAttempt) => Promise<number>,
    options: {
      readonly job: string;
      readonly token: number;
      readonly resumedFrom?: Handler['resumedFrom'];
    },
  ): Told;
  readonly draining: AbortController;
  metrics(): Promise<string>;
  /** Folders of attempts that are left. */
  scratch(): string[];
}

export async function startStageHarness(): Promise<StageHarness> {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-stage-'));
  const harness = await startStorage();
  const { storage, nats, server } = harness;
  const specs = new Map<string, Promise<JobSpecReference>>();
  const specOf = (job: string): Promise<JobSpecReference> => {
    const written =
      specs.get(job) ??
      storage.writeSpec(create(JobSpecSchema, { job: jobNameOf(job), options: optionsMessage() }));
    specs.set(job, written);
    return written;
  };
  const telemetries: Telemetry[] = [];
  let stages = 0;
  return {
    storage,
    nats,
    server,
    folder,
    open: ({ engine = noEngine, heartbeatMs = 60_000, abandonMs, clock } = {}) => {
      const scratch = join(folder, `scratch-${(stages += 1)}`);
      const telemetry = createTelemetry({ service: 'calibrator', version: 'test' });
      telemetries.push(telemetry);
      const calls = new StageCalls({
        instance: `calibrator-${stages}`,
        storage,
        metrics: telemetry.metrics,
        engine,
        device: 'cpu',
        threads: 1,
        scratch,
        heartbeatMs,
        abandonMs,
        clock,
        modelFolder: (model) => Promise.resolve(model),
      });
      const draining = new AbortController();
      return {
        draining,
        call: (run, { job, token, resumedFrom }) => {
          const handler: Handler = {
            stage: 'calibrate',
            result: CalibrateResultSchema,
            resumedFrom,
            run: async (attempt) => ({ layers: await run(attempt) }),
          };
          return callOf(calls, handler, {
            request: specOf(job).then((spec) => requestOf({ job, token, spec })),
            draining: draining.signal,
          });
        },
        metrics: () => telemetry.expose(),
        scratch: () => (existsSync(scratch) ? readdirSync(scratch) : []),
      };
    },
    stop: async () => {
      for (const telemetry of telemetries) telemetry.close();
      await harness.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const noEngine = {
  run: () => Promise.reject(new Error('no engine in this test')),
} as unknown as EngineThread;

function optionsMessage() {
  return toTuneOptionsMessage({ ...defaultTuneOptions, model: '/model', data: '/data.jsonl' });
}

function requestOf({
  job,
  token,
  spec,
}: {
  job: string;
  token: number;
  spec: JobSpecReference;
}): CalibrateRequest {
  return create(CalibrateRequestSchema, {
    call: { job: jobNameOf(job), attempt: 1, fencingToken: BigInt(token), spec },
  });
}

function callOf(
  calls: StageCalls,
  handler: Handler,
  { request, draining }: { request: Promise<CalibrateRequest>; draining: AbortSignal },
): Told {
  const events: string[] = [];
  const gone = new AbortController();
  const read = async (): Promise<number> => {
    for await (const { content } of calls.serve(handler, await request, {
      signal: gone.signal,
      draining,
    })) {
      if (content.case === 'result') return content.value.layers;
      const { event } = content.value;
      events.push(
        event?.case === 'accepted' ? `accepted ${event.value.resumedFrom}` : String(event?.case),
      );
    }
    throw new Error('the stream ended without a result');
  };
  const result = read();
  result.catch(() => undefined);
  return {
    events,
    result,
    stop: () => gone.abort(new RpcError('CANCELLED', 'the caller has gone')),
  };
}
