import { homedir } from 'node:os';
import process from 'node:process';
import { servedModelFolder } from '@emloc/hub';
import type { CallContext, Handlers, Service } from '@emloc/rpc';
import { programVersion, runService, type OptionSet, type OptionValues } from '@emloc/service';

import { EngineThread } from './engine-thread.js';
import { stageAuthentication } from './stage-authentication.js';
import { StageCalls } from './stage-calls.js';
import type { stageOptions, StageOptions } from './stage-options.js';

/** A stage service: its name, options, thread and calls. */
export interface StageServiceDefinition<S extends Service, O extends OptionSet> {
  readonly name: string;
  /** Holds `stageOptions`. */
  readonly options: O;
  /** Program of the engine's thread. */
  readonly engine: URL;
  readonly service: S;
  handlers(calls: StageCalls, options: OptionValues<O>): Handlers<S, CallContext>;
}

/** The whole of a stage service's `main.ts`. */
export async function runStageService<
  S extends Service,
  O extends OptionSet & typeof stageOptions,
>({
  name,
  options: set,
  engine: program,
  service,
  handlers,
}: StageServiceDefinition<S, O>): Promise<void> {
  await runService({
    name,
    options: set,
    setup: async (
      { instance, logger, metrics, storage, server, shutdown, tls, scratch },
      given,
    ) => {
      const options: StageOptions = given;
      const engine = new EngineThread({
        program,
        storage,
        holder: instance,
        deviceName: options.deviceName,
        stopMs: options.grace * 0.4,
      });
      shutdown.add('engine thread', () => engine.close());
      // Runs before the thread is ended: the calls see the draining server, save what they have and
      // end.
      shutdown.add('stage calls', async () => {
        await server.close(options.grace * 0.5);
      });
      const calls = new StageCalls({
        instance,
        storage,
        metrics,
        engine,
        scratch,
        abandonMs: options.grace,
        device: options.device,
        threads: options.threads === 0 ? undefined : options.threads,
        modelFolder: (model, signal) =>
          servedModelFolder(model, {
            mode: options.modelHub,
            env: process.env,
            home: homedir,
            program: `emloc/${programVersion}`,
            signal,
            onNotice: (notice) => logger.info({ model, notice }, 'model of a hub'),
          }),
        onError: (error, attempt) =>
          logger.warn({ error, ...attempt }, 'stage attempt ended without a result'),
      });
      const { authenticate, ...setup } = stageAuthentication(options, tls);
      server.addService(service, handlers(calls, given), { authenticate });
      return setup;
    },
  });
}
