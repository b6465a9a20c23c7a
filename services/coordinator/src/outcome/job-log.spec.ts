import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { JobEventSchema, Stage, StageStateChanged_State as State } from '@emloc/contracts';

import { toEventJson } from '../jobs/events.js';
import { eventsOf, jobLogText } from './job-log.js';

const at = new Date('2024-05-06T07:08:09.123Z');

const changed = (stage: Stage, state: State) =>
  create(JobEventSchema, {
    time: timestampFromDate(at),
    event: { case: 'stageStateChanged', value: { stage, state, attempt: 1 } },
  });

async function* those<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

test('the lines of a stage stand between its beginning and its end', async () => {
  const events = [
    changed(Stage.EMULATE, State.STARTED),
    changed(Stage.EMULATE, State.FINISHED),
    changed(Stage.TRAIN, State.STARTED),
    changed(Stage.TRAIN, State.RETRYING),
    changed(Stage.TRAIN, State.STARTED),
    create(JobEventSchema, { event: { case: 'notice', value: { message: 'secret' } } }),
    changed(Stage.TRAIN, State.FINISHED),
    changed(Stage.MERGE, State.STARTED),
  ];
  const text = await jobLogText(those(events), async (stage) =>
    stage === 'train' ? '{"event":"step"}\n' : '',
  );
  const line = (stage: string, state: string) =>
    `{"time":"2024-05-06T07:08:09.123Z","event":"stage","stage":"${stage}","state":"${state}"}`;
  expect(text.split('\n')).toEqual([
    line('emulate', 'started'),
    line('emulate', 'finished'),
    line('train', 'started'),
    line('train', 'started'),
    '{"event":"step"}',
    line('train', 'finished'),
    '',
  ]);
});

test('events are read to the end, in batches', async () => {
  const event = toEventJson({ case: 'notice', value: { message: '' } }, at);
  const read = async (_job: string, after: number, limit: number) =>
    Array.from({ length: Math.min(limit, 600 - after) }, (_, index) => ({
      ...{ topic: 'j', number: after + index + 1, position: after + index + 1 },
      event: { transition: 0, event },
    }));
  const sequences: number[] = [];
  for await (const { sequence } of eventsOf({ read }, 'j')) sequences.push(Number(sequence));
  expect(sequences).toEqual(Array.from({ length: 600 }, (_, index) => index + 1));
});
