import {
  fromJson,
  toJson,
  type DescMessage,
  type JsonValue,
  type Message,
  type MessageInitShape,
} from '@bufbuild/protobuf';
import {
  BuildEmulatorResultSchema,
  CalibrateResultSchema,
  CalibratorService,
  CorrectorService,
  CorrectResultSchema,
  EmulatorBuilderService,
  MergeOptionsSchema,
  MergeResultSchema,
  RefineResultSchema,
  TrainerService,
  TrainResultSchema,
  type StageCallSchema,
  type StageEvent,
  type StoredObject,
} from '@emloc/contracts';
import { RpcChannel, RpcError, type CallOptions, type ChannelOptions } from '@emloc/rpc';

import type { StageName } from '../jobs/record.js';

/** What comes from a stage: events, then its result message as JSON. */
type StageMessage =
  | { readonly kind: 'event'; readonly event: StageEvent }
  | { readonly kind: 'result'; readonly result: JsonValue };

/** A call of a stage, the same for all its replicas. */
export interface StageRequest {
  readonly call: MessageInitShape<typeof StageCallSchema>;
  /** Of the stage before. */
  readonly adapter?: StoredObject;
  /** Validation loss that refinement has to beat. */
  readonly loss?: number;
  /** What training left, whose optimizer a last level goes on with. */
  readonly trained?: StoredObject;
  /** MergeOptions */
  readonly merge?: JsonValue;
}

/** The services that run stages. */
export interface StageServices {
  replicas(stage: StageName): number;
  /** @throws RpcError */
  call(
    stage: StageName,
    replica: number,
    request: StageRequest,
    signal: AbortSignal,
  ): AsyncIterable<StageMessage>;
  /** Resolves when a replica can be reached. @throws RpcError UNAVAILABLE after a second */
  reach(stage: StageName, replica: number): Promise<void>;
  close(): void;
}

/** Addresses by service; those whose replicas share the layers of a job may have several. */
export interface StageAddresses {
  readonly calibrator: string;
  readonly builders: readonly string[];
  readonly trainer: string;
  readonly correctors: readonly string[];
}

const reachTimeoutMs = 1000;
/** Reports of emulators grow with the model. */
const maxResultBytes = 32 * 1024 * 1024;

export function connectStages(
  { calibrator, builders, trainer, correctors }: StageAddresses,
  options: Pick<ChannelOptions, 'credentials' | 'token'>,
): StageServices {
  const open = (address: string): RpcChannel =>
    new RpcChannel({ address, maxReceiveBytes: maxResultBytes, ...options });
  const channels = {
    calibrator: [open(calibrator)],
    builder: builders.map(open),
    trainer: [open(trainer)],
    corrector: correctors.map(open),
  };
  const ofStage: Readonly<Record<StageName, readonly RpcChannel[]>> = {
    calibrate: channels.calibrator,
    emulate: channels.builder,
    train: channels.trainer,
    refine: channels.trainer,
    correct: channels.corrector,
    merge: channels.corrector.slice(0, 1),
  };
  const channelOf = (stage: StageName, replica: number): RpcChannel => {
    const channel = ofStage[stage][replica];
    if (!channel) throw new RpcError('INTERNAL', `stage ${stage} has no replica ${replica}`);
    return channel;
  };
  return {
    replicas: (stage) => ofStage[stage].length,
    call: (stage, replica, request, signal) =>
      callStage(channelOf(stage, replica), stage, request, { signal }),
    reach: (stage, replica) => channelOf(stage, replica).waitForReady(reachTimeoutMs),
    close: () =>
      Object.values(channels)
        .flat()
        .forEach((channel) => channel.close()),
  };
}

function callStage(
  channel: RpcChannel,
  stage: StageName,
  request: StageRequest,
  options: CallOptions,
): AsyncIterable<StageMessage> {
  const { call, adapter, loss, trained, merge } = request;
  switch (stage) {
    case 'calibrate':
      return messages(
        channel.client(CalibratorService).calibrate({ call }, options),
        CalibrateResultSchema,
      );
    case 'emulate':
      return messages(
        channel.client(EmulatorBuilderService).buildEmulator({ call }, options),
        BuildEmulatorResultSchema,
      );
    case 'train':
      return messages(channel.client(TrainerService).train({ call }, options), TrainResultSchema);
    case 'correct':
      return messages(
        channel.client(CorrectorService).correct({ call, adapter }, options),
        CorrectResultSchema,
      );
    case 'refine':
      return messages(
        channel.client(TrainerService).refine({ call, adapter, loss, trained }, options),
        RefineResultSchema,
      );
    case 'merge': {
      const given =
        merge === undefined || merge === null ? {} : { merge: fromJson(MergeOptionsSchema, merge) };
      return messages(
        channel.client(CorrectorService).merge({ call, adapter, ...given }, options),
        MergeResultSchema,
      );
    }
  }
}

interface StageResponse {
  readonly content: { readonly case: 'event' | 'result' | undefined; readonly value?: Message };
}

async function* messages(
  responses: AsyncIterable<StageResponse>,
  resultSchema: DescMessage,
): AsyncGenerator<StageMessage> {
  for await (const {
    content: { case: kind, value },
  } of responses) {
    if (kind === 'event') yield { kind, event: value as StageEvent };
    else if (kind === 'result' && value) yield { kind, result: toJson(resultSchema, value) };
  }
}
