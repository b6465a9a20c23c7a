import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { Stage, type StageEventSchema } from '@emloc/contracts';
import type { StageLabel } from '@emloc/telemetry';

import type { EngineEvent } from '../contract.js';

export type StageEventInit = MessageInitShape<typeof StageEventSchema>;

/** Stages by name, in the contracts' enum. */
export const stageNumbers: Readonly<Record<StageLabel, Stage>> = Object.freeze({
  calibrate: Stage.CALIBRATE,
  emulate: Stage.EMULATE,
  train: Stage.TRAIN,
  correct: Stage.CORRECT,
  refine: Stage.REFINE,
  merge: Stage.MERGE,
  front: Stage.FRONT,
});

/** What an engine tells, as the caller of the stage hears it; null: nothing. */
export function stageEventOf(event: EngineEvent): StageEventInit | null {
  switch (event.type) {
    case 'progress':
      return now({
        case: 'progress',
        value: {
          stage: stageNumbers[event.stage],
          task: event.task,
          done: BigInt(event.done),
          total: BigInt(event.total),
        },
      });
    case 'step': {
      const { type: _type, stage, tokens, ...same } = event;
      return now({
        case: 'step',
        value: {
          ...same,
          stage: stageNumbers[stage],
          tokens: BigInt(tokens),
          deviceBytes: BigInt(same.deviceBytes),
          peakDeviceBytes: BigInt(same.peakDeviceBytes),
          budgetBytes: BigInt(same.budgetBytes),
        },
      });
    }
    case 'notice':
      return now({ case: 'notice', value: { message: event.message } });
    case 'prepared':
    case 'stage':
    case 'begun':
    case 'estimate':
    case 'validation':
    case 'memory':
    case 'card':
    case 'pager':
      return null;
  }
}

/** An event that happens now. */
export function now(event: NonNullable<StageEventInit['event']>): StageEventInit {
  return { time: timestampNow(), event };
}
