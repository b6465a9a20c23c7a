import { homedir } from 'node:os';
import process from 'node:process';
import { JobService } from '@emloc/contracts';
import { servedModel, servedModelFolder, type ServingHost } from '@emloc/hub';
import { isDiffusionFolder } from '@emloc/models';
import { openNumberedLog, openRecordStore } from '@emloc/nats';
import { clientCredentials, type Authenticator } from '@emloc/rpc';
import { programVersion, type ServiceContext, type ServiceSetup } from '@emloc/service';
import { systemClock, type Clock } from '@emloc/time';

import { connectStages } from './drive/stage-services.js';
import { jobServiceHandlers } from './job-service/handlers.js';
import { whileStorageIsAway } from './job-service/storage-errors.js';
import { JobFeed } from './jobs/feed.js';
import { JobIndex } from './jobs/job-index.js';
import type { LogEntry } from './jobs/ledger.js';
import { jobStates, type JobRecord } from './jobs/record.js';
import { leadJobs } from './leader.js';
import { openLeases, takePartInLeadership } from './leadership.js';
import type { CoordinatorOptions } from './options.js';
import { createDatasetFiles } from './outcome/dataset-files.js';
import type { Engine } from './outcome/engine.js';
import { createOutcomeMaker } from './outcome/outcome-maker.js';
import { removeJob } from './removal.js';
import { tenantRoots } from './tenant-roots.js';
import { everyoneIsLocal, tenantTokens } from './tenant-tokens.js';
import { createTidying } from './tidying.js';

export type CoordinatorContext = Omit<ServiceContext, 'natsAccess'>;

const metricsMs = 1000;

/**
 * Serves the job service, and takes part in leading: of all coordinators one drives the jobs.
 * @param clock by which the files of tokens and roots are followed
 */
export async function startCoordinator(
  context: CoordinatorContext,
  options: CoordinatorOptions,
  engine: Engine,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): Promise<ServiceSetup> {
  const { nats, lane, storage, server, shutdown, scratch, metrics, logger } = context;
  const replicas = options.natsReplicas === 1 ? undefined : options.natsReplicas;
  const store = await openRecordStore<JobRecord>({ nats, bucket: 'emloc-jobs', replicas });
  const log = await openNumberedLog<LogEntry>({ nats, name: 'jobs', replicas });
  const [index, feed] = [new JobIndex(store), new JobFeed(log)];
  const background = new AbortController();
  await index.start(lane, background.signal);
  await feed.start(background.signal);
  const hub: ServingHost = {
    mode: options.modelHub,
    env: process.env,
    home: homedir,
    program: `emloc/${programVersion}`,
  };
  const datasetFiles = createDatasetFiles(storage, scratch, (model) =>
    servedModelFolder(model, hub),
  );
  const authenticate: Authenticator =
    options.tokensFile === undefined
      ? everyoneIsLocal
      : await tenantTokens(options.tokensFile, { logger, signal: background.signal, clock });
  server.addService(
    JobService,
    whileStorageIsAway(
      jobServiceHandlers({
        store,
        storage,
        log,
        index,
        feed,
        engine,
        datasetFiles,
        limits: {
          findHubModel: (hubName) => servedModel(hubName, hub),
          kindOfModel: async (model) =>
            (await isDiffusionFolder(await servedModelFolder(model, hub))) ? 'pictures' : 'text',
          maxSteps: options.maxSteps,
        },
        rootsOf: await tenantRoots(options.tenantRoots, options, {
          logger,
          signal: background.signal,
          clock,
        }),
        maxQueuedJobs: options.maxQueuedJobs,
        uploads: { maxDatasetBytes: options.maxDatasetBytes, idleMs: options.uploadIdle },
        maxUploads: options.maxUploads,
        onTransition: (state) => metrics.jobTransitions.add({ state: state.toLowerCase() }),
      }),
    ),
    { authenticate },
  );
  const services = connectStages(
    {
      calibrator: options.calibratorAddress,
      builders: options.emulatorBuilderAddress,
      trainer: options.trainerAddress,
      correctors: options.correctorAddress,
    },
    {
      credentials: clientCredentials(options.stageTls ? context.tls.client : null),
      token: options.stageToken ?? null,
    },
  );
  const tidy = createTidying({
    storage,
    jobs: () => index.all(),
    retentionMs: options.jobRetention,
    uploadIdleMs: options.uploadIdle,
  });
  const lead = (token: number, stop: AbortSignal): Promise<void> =>
    counted(metrics.leading, () =>
      leadJobs({
        index,
        store,
        log,
        metrics,
        logger,
        services,
        token,
        stop,
        maxRunning: options.maxRunning,
        settings: { stageSilenceMs: options.stageSilence, stageRetryForMs: options.stageRetryFor },
        outcome: createOutcomeMaker({
          storage,
          datasetFiles,
          engine,
          log,
          program: `emloc ${programVersion}`,
        }),
        discardWork: (job) => storage.discardWork(job),
        jobsWithWork: () => storage.jobsWithWork(),
        removeJob: (job) => removeJob(job, { store, storage, log }),
        jobRetentionMs: options.jobRetention,
        tidy,
      }),
    );
  metrics.leading.set({}, 0);
  const leading = new AbortController();
  const leadership = takePartInLeadership({
    leases: await openLeases(nats, { ttlMs: options.leaseTtl, replicas }),
    ttlMs: options.leaseTtl,
    owner: context.instance,
    logger,
    metrics,
    signal: leading.signal,
    lead,
  });
  const jobsGauge = systemClock.every(metricsMs, () => reportJobs(index, context), {
    holdsProcess: false,
  });
  shutdown.add('background work', async () => {
    jobsGauge.end();
    background.abort();
    services.close();
    await engine.close();
  });
  shutdown.add('leadership', async () => {
    leading.abort();
    await leadership;
  });
  return { authenticated: options.tokensFile !== undefined };
}

function reportJobs(index: JobIndex, { metrics }: Pick<CoordinatorContext, 'metrics'>): void {
  const counts = index.countByState();
  for (const state of jobStates) metrics.jobs.set({ state: state.toLowerCase() }, counts[state]);
}

/** The gauge is 1 while the work goes on. */
async function counted(
  gauge: CoordinatorContext['metrics']['leading'],
  work: () => Promise<void>,
): Promise<void> {
  gauge.set({}, 1);
  try {
    await work();
  } finally {
    gauge.set({}, 0);
  }
}
