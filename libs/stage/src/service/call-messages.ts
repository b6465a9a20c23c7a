import type { MessageInitShape } from '@bufbuild/protobuf';
import type { StageCall, StageReportSchema } from '@emloc/contracts';
import { jobIdOf } from '@emloc/job-storage';
import { RpcError } from '@emloc/rpc';
import type { MemorySample, StageLabel } from '@emloc/telemetry';

import type { EngineReport } from '../contract.js';
import { stageNumbers, type StageEventInit } from './stage-events.js';

export interface MemoryUse {
  readonly deviceBytesInUse: bigint;
  readonly peakDeviceBytes: bigint;
}

export interface CheckedCall {
  readonly job: string;
  readonly token: number;
  readonly spec: NonNullable<StageCall['spec']>;
}

/** @throws RpcError INVALID_ARGUMENT */
export function assertCall(call: StageCall | undefined): CheckedCall {
  const job = call ? jobIdOf(call.job) : '';
  const token = Number(call?.fencingToken ?? 0);
  if (!call?.spec || !/^[\w-]{1,64}$/.test(job) || !Number.isSafeInteger(token) || token < 1) {
    throw new RpcError('INVALID_ARGUMENT', 'call: job, fencing_token and spec are required', {
      reason: 'INVALID_REQUEST',
    });
  }
  return { job, token, spec: call.spec };
}

export function staleToken(token: number, newest: number): RpcError {
  return new RpcError('FAILED_PRECONDITION', `fencing token ${token} is older than ${newest}`, {
    reason: 'STAGE_STALE_FENCING_TOKEN',
  });
}

export function memoryUse({ inUseBytes, peakBytes }: MemorySample): MemoryUse {
  return {
    deviceBytesInUse: BigInt(Object.values(inUseBytes).reduce((sum, bytes) => sum + bytes, 0)),
    peakDeviceBytes: BigInt(peakBytes),
  };
}

export function event(value: StageEventInit): {
  readonly content: { readonly case: 'event'; readonly value: StageEventInit };
} {
  return { content: { case: 'event', value } };
}

/** Where in the model something went wrong, where the engine knows it. */
export function layerOf(error: unknown): { layer?: string } {
  const layer = (error as { layer?: unknown } | null)?.layer;
  return typeof layer === 'string' ? { layer } : {};
}

/** The report of a stage's thread as its result has it. */
export function reportMessage(
  stage: StageLabel,
  { seconds, peakDeviceBytes, device }: EngineReport,
): MessageInitShape<typeof StageReportSchema> {
  return { stage: stageNumbers[stage], seconds, peakDeviceBytes: BigInt(peakDeviceBytes), device };
}
