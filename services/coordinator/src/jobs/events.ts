import {
  create,
  createRegistry,
  fromJson,
  toJson,
  type JsonValue,
  type MessageInitShape,
} from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  Job_State,
  JobEventSchema,
  RetryInfoSchema,
  Stage,
  StageStateChanged_State,
  StatusSchema,
  type JobEvent,
  type Status,
} from '@emloc/contracts';
import { toStatus, type RpcError } from '@emloc/rpc';
import type { StageLabel } from '@emloc/telemetry';

import type { JobState, StageName } from './record.js';

/** Types that the details of a Status may have. */
const registry = createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema);

/** What happened, without sequence and time. */
export type EventContent = NonNullable<MessageInitShape<typeof JobEventSchema>['event']>;

/** An event as the log keeps it. */
export function toEventJson(event: EventContent, now: Date): JsonValue {
  return toJson(
    JobEventSchema,
    create(JobEventSchema, { time: timestampFromDate(now), event } as MessageInitShape<
      typeof JobEventSchema
    >),
    { registry },
  );
}

/** An event as the contract has it. */
export function fromEventJson(json: JsonValue, sequence: number): JobEvent {
  const event = fromJson(JobEventSchema, json, { registry });
  event.sequence = BigInt(sequence);
  return event;
}

export function toStatusJson(error: RpcError): JsonValue {
  return toJson(StatusSchema, toStatus(error), { registry });
}

export function fromStatusJson(json: JsonValue): Status {
  return fromJson(StatusSchema, json, { registry });
}

const stages = Object.freeze({
  calibrate: Stage.CALIBRATE,
  emulate: Stage.EMULATE,
  train: Stage.TRAIN,
  correct: Stage.CORRECT,
  refine: Stage.REFINE,
  merge: Stage.MERGE,
  front: Stage.FRONT,
});

export function stageEnum(stage: StageLabel): Stage {
  return stages[stage];
}

export function stateEnum(state: JobState): Job_State {
  return Job_State[state];
}

export function stateChanged(state: JobState, error: JsonValue): EventContent {
  return {
    case: 'stateChanged',
    value: { state: stateEnum(state), ...(error === null ? {} : { error: fromStatusJson(error) }) },
  };
}

export function stageChanged(
  stage: StageName,
  state: 'STARTED' | 'FINISHED' | 'RETRYING',
  { attempt, error = null }: { attempt: number; error?: JsonValue },
): EventContent {
  const value = {
    stage: stages[stage],
    state: StageStateChanged_State[state],
    attempt,
    ...(error === null ? {} : { error: fromStatusJson(error) }),
  };
  return { case: 'stageStateChanged', value };
}
