import type { JobEvent } from '@emloc/sdk';

import type { Fault } from '../src/fault-plan.js';
import { eventProblems, processProblems } from '../src/run.js';

const events = (...sequences: number[]): JobEvent[] =>
  sequences.map((sequence) => ({ type: 'unknown', sequence, time: null }));
const applied = (
  kind: 'kill' | 'terminate',
  process: Fault['process'],
): Parameters<typeof processProblems>[1][number] => ({
  fault: { kind, process, at: 0 },
  afterMs: 0,
  problem: null,
});

test('events have to be numbered from 1, without gaps or repetitions, to the last', () => {
  expect(eventProblems(events(1, 2, 3), { lastEventSequence: 3 })).toEqual([]);
  expect(eventProblems(events(2, 3), { lastEventSequence: 3 })).toEqual([
    'event 1 has the sequence 2',
  ]);
  expect(eventProblems(events(1, 2, 2), { lastEventSequence: 3 })).toEqual([
    'event 3 has the sequence 2',
  ]);
  expect(eventProblems(events(1, 2), { lastEventSequence: 3 })).toEqual([
    '2 events, the last of the job is 3',
  ]);
});

test('every end of a process needs a reason, and every reason an end', () => {
  const killed = { process: 'trainer', code: null, signal: 'SIGKILL' };
  const ended = { process: 'corrector', code: 0, signal: null };
  expect(
    processProblems(
      [killed, ended],
      [applied('terminate', 'corrector'), applied('kill', 'trainer')],
    ),
  ).toEqual([]);
  expect(processProblems([killed, killed], [applied('kill', 'trainer')])).toEqual([
    'trainer ended with SIGKILL',
  ]);
  expect(processProblems([{ ...ended, code: 1 }], [applied('terminate', 'corrector')])).toEqual([
    'corrector ended with 1',
    'corrector did not end with 0',
  ]);
});
