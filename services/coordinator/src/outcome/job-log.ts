import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Stage, StageStateChanged_State, type JobEvent } from '@emloc/contracts';
import type { NumberedEvent, NumberedLog } from '@emloc/nats';
import { lineOf, type LogEntry as LogLine, type StageName } from '@emloc/pipeline';

import { fromEventJson } from '../jobs/events.js';
import type { LogEntry } from '../jobs/ledger.js';

/** Stages as the log of a job in one process names them; the others come after it is written. */
const stages: Readonly<Partial<Record<Stage, StageName>>> = Object.freeze({
  [Stage.FRONT]: 'front',
  [Stage.CALIBRATE]: 'calibrate',
  [Stage.EMULATE]: 'emulate',
  [Stage.TRAIN]: 'train',
  [Stage.CORRECT]: 'correct',
  [Stage.REFINE]: 'refine',
});

const states: Readonly<Partial<Record<StageStateChanged_State, 'started' | 'finished'>>> =
  Object.freeze({
    [StageStateChanged_State.STARTED]: 'started',
    [StageStateChanged_State.FINISHED]: 'finished',
  });

/**
 * A job's log as `emloc tune` writes it: beginnings and ends of stages from the job's events, what
 * a stage tells of its steps before its end.
 * @param linesOf lines of a stage, each with its end; empty: it has none
 */
export async function jobLogText(
  events: AsyncIterable<JobEvent>,
  linesOf: (stage: StageName) => Promise<string>,
): Promise<string> {
  let text = '';
  for await (const { event, time } of events) {
    if (event.case !== 'stageStateChanged' || !time) continue;
    const [stage, state] = [stages[event.value.stage], states[event.value.state]];
    if (!stage || !state) continue;
    if (state === 'finished') text += await linesOf(stage);
    const line: LogLine = { time: timestampDate(time).toISOString(), event: 'stage', stage, state };
    text += `${lineOf(line)}\n`;
  }
  return text;
}

const batchEvents = 256;

/** Events of a job until now. */
export async function* eventsOf(
  log: Pick<NumberedLog<LogEntry>, 'read'>,
  job: string,
): AsyncGenerator<JobEvent> {
  let batch: readonly NumberedEvent<LogEntry>[];
  let position = 0;
  do {
    batch = await log.read(job, position, batchEvents);
    for (const { event, number } of batch) yield fromEventJson(event.event, number);
    position = batch.at(-1)?.position ?? position;
  } while (batch.length === batchEvents);
}
