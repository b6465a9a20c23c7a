import { fileURLToPath } from 'node:url';
import type { Job, JobEvent } from '@emloc/sdk';

import type { AppliedFault } from '../bed/inject.js';
import type { ProcessName } from '../plan/faults.js';
import {
  documentedCodes,
  eventProblems,
  failureProblems,
  layerProblems,
  processProblems,
} from './job-checks.js';

const events = (...sequences: number[]): JobEvent[] =>
  sequences.map((sequence) => ({ type: 'unknown', sequence, time: null }));
type Applied = Pick<AppliedFault, 'fault' | 'problem' | 'alsoKilled'>;
const applied = (
  kind: 'kill' | 'terminate',
  process: ProcessName,
  alsoKilled: readonly ProcessName[] = [],
): Applied => ({ fault: { kind, process, at: 0 }, problem: null, alsoKilled });

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
  expect(
    processProblems(
      [killed, { ...killed, process: 'nats-server' }],
      [applied('kill', 'trainer', ['nats-server'])],
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

test('a layer has one result, and a job that succeeded all of them', () => {
  const results = new Map([
    ['block-0', new Set(['a'])],
    ['block-1', new Set(['a', 'b'])],
  ]);
  expect(layerProblems({ results }, { mustHaveAll: false })).toEqual(['block-1 has 2 results']);
  expect(layerProblems({ results }, { mustHaveAll: true })).toEqual([
    'block-1 has 2 results',
    '2 layers have results, not 4',
  ]);
});

test('a failure has a documented code, or one of gRPC that tells of no defect', async () => {
  const codes = await documentedCodes(fileURLToPath(new URL('../../../..', import.meta.url)));
  const failure = (code: string, reason: string): Job['error'] =>
    ({ code, reason, message: 'why', stage: null, layer: null }) as Job['error'];
  const problems = (code: string, reason: string): string[] =>
    failureProblems(failure(code, reason), codes);
  expect(problems('RESOURCE_EXHAUSTED', 'PIPELINE_DOES_NOT_FIT')).toEqual([]);
  expect(problems('UNAVAILABLE', 'UNAVAILABLE')).toEqual([]);
  expect(problems('INTERNAL', 'INTERNAL')).toHaveLength(1);
  expect(problems('INTERNAL', 'NO_SUCH_CODE')).toHaveLength(1);
  expect(failureProblems(null, codes)).toHaveLength(1);
});
