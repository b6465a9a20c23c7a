import { isRpcError, RpcError, toRpcError } from '@emloc/rpc';

import { toStatusJson } from '../jobs/events.js';
import type { JobLedger } from '../jobs/ledger.js';
import type { ArtifactRecord, JobRecord, StageName } from '../jobs/record.js';
import { finishJob, settleJob, startJob, storeOutcome } from '../jobs/transitions.js';
import { nextStep, type Step } from './next-step.js';
import { stageError } from './retry-policy.js';
import { runStage, type StageRun } from './run-stage.js';
import { tuneReport } from './stage-results.js';

/** Makes and stores a job's adapter folder. */
export interface OutcomeMaker {
  /** @throws the typed errors of engine and storage */
  make(
    record: JobRecord,
    signal: AbortSignal,
  ): Promise<{ readonly artifacts: readonly ArtifactRecord[]; readonly budgetBytes: number }>;
}

export interface JobDrive extends Omit<StageRun, 'signal'> {
  readonly outcome: OutcomeMaker;
  /** Deletes what the stages of a job left to each other. */
  readonly discardWork: (job: string) => Promise<void>;
  /** Ends the drive and leaves the job as it is. */
  readonly stop: AbortSignal;
  /** The job was cancelled. */
  readonly cancel: AbortSignal;
}

/**
 * Takes a job from wherever it is to its end.
 * @throws the reason of `stop`; NatsError when the storage is away or another leads
 */
export async function driveJob(drive: JobDrive): Promise<void> {
  for (;;) {
    drive.stop.throwIfAborted();
    const step = nextStep(drive.ledger.record);
    if (step.kind === 'none') return;
    try {
      await take(step, drive);
    } catch (error) {
      drive.stop.throwIfAborted();
      await endBadly(error, drive);
    }
  }
}

async function take(step: Step, drive: JobDrive): Promise<void> {
  const { ledger } = drive;
  switch (step.kind) {
    case 'start':
      return void (await ledger.change(startJob));
    case 'stages':
      return runStages(step.stages, drive);
    case 'outcome':
      return makeOutcome(drive);
    case 'end':
      return void (await ledger.change(
        finishJob(
          step.state === 'SUCCEEDED'
            ? { state: 'SUCCEEDED', report: tuneReport(ledger.record) }
            : { state: 'CANCELLED' },
        ),
      ));
    case 'settle':
      if (ledger.record.token > 0) await drive.discardWork(ledger.record.id);
      return void (await ledger.change(settleJob));
    case 'none':
      return;
  }
}

/** Stages side by side; the failure of one ends the others. */
async function runStages(stages: readonly StageName[], drive: JobDrive): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([drive.stop, drive.cancel, failed.signal]);
  const running = stages.map((stage) =>
    runStage(stage, { ...drive, signal }).catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(running);
  failed.signal.throwIfAborted();
}

const outcomeAttempts = 3;

async function makeOutcome({ ledger, outcome, stop, cancel }: JobDrive): Promise<void> {
  const signal = AbortSignal.any([stop, cancel]);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { artifacts, budgetBytes } = await outcome.make(ledger.record, signal);
      await ledger.change(storeOutcome(artifacts, { budgetBytes }));
      return;
    } catch (error) {
      signal.throwIfAborted();
      const seen = toRpcError(error);
      if (attempt >= outcomeAttempts || !['UNAVAILABLE', 'INTERNAL', 'ABORTED'].includes(seen.code))
        throw stageError('outcome', seen);
    }
  }
}

/**
 * After a failure: a job that was cancelled meanwhile goes on to that end, one that cannot succeed
 * fails.
 */
async function endBadly(error: unknown, { ledger }: JobDrive): Promise<void> {
  const record = await ledger.change((unchanged) => unchanged);
  if (record.state === 'CANCELLING') return;
  if (!isRpcError(error)) throw error;
  await ledger.change(finishJob({ state: 'FAILED', error: toStatusJson(error) }));
}

/** The end of a job whose drive fails over and over. */
export async function abandonJob(ledger: JobLedger, error: unknown): Promise<void> {
  const cause = toRpcError(error);
  await ledger.change(
    finishJob({
      state: 'FAILED',
      error: toStatusJson(
        new RpcError(
          'INTERNAL',
          `the coordinator could not go on with this job: ${cause.message}`,
          { reason: 'COORDINATOR_FAILED', cause: error },
        ),
      ),
    }),
  );
}
