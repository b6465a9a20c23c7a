import type { JobRecord } from '../jobs/record.js';
import {
  finishJob,
  finishStage,
  newJobRecord,
  requestCancel,
  settleJob,
  startJob,
  startStage,
  storeOutcome,
  type Transition,
} from '../jobs/transitions.js';
import { nextStep } from './next-step.js';

const job = {
  id: 'j',
  tenant: 't',
  requestHash: '',
  displayName: '',
  options: {},
  merge: {},
  isEmulated: true,
  modelKind: 'text' as const,
  spec: { bucket: '', key: '', revision: 1 },
};

function after(record: JobRecord, ...transitions: Transition[]): JobRecord {
  return transitions.reduce((current, transition) => transition(current, new Date(0)), record);
}

const finished = (...stages: Parameters<typeof startStage>[0][]): Transition[] =>
  stages.flatMap((stage) => [startStage(stage), finishStage(stage, { report: {} })]);

test('a whole job, step by step', () => {
  let record = newJobRecord(job, new Date(0));
  const take = (...transitions: Transition[]) => {
    record = after(record, ...transitions);
    return nextStep(record);
  };
  expect(take()).toEqual({ kind: 'start' });
  expect(take(startJob)).toEqual({ kind: 'stages', stages: ['calibrate', 'emulate'] });
  expect(take(...finished('calibrate'))).toEqual({ kind: 'stages', stages: ['emulate'] });
  expect(take(...finished('emulate'))).toEqual({ kind: 'stages', stages: ['train'] });
  expect(take(...finished('train'))).toEqual({ kind: 'stages', stages: ['correct'] });
  expect(take(...finished('correct'))).toEqual({ kind: 'stages', stages: ['refine'] });
  expect(take(...finished('refine'))).toEqual({ kind: 'outcome' });
  expect(take(storeOutcome([], { budgetBytes: 1 }))).toEqual({ kind: 'stages', stages: ['merge'] });
  expect(take(...finished('merge'))).toEqual({ kind: 'end', state: 'SUCCEEDED' });
  expect(take(finishJob({ state: 'SUCCEEDED', report: {} }))).toEqual({ kind: 'settle' });
  expect(take(settleJob)).toEqual({ kind: 'none' });
  expect(record.token).toBe(6);
});

test('plain LoRA trains only; without refinement and merging the outcome follows correction', () => {
  const plain = after(
    newJobRecord({ ...job, isEmulated: false, merge: null }, new Date(0)),
    startJob,
  );
  expect(nextStep(plain)).toEqual({ kind: 'stages', stages: ['train'] });
  expect(nextStep(after(plain, ...finished('train')))).toEqual({ kind: 'outcome' });
  const unrefined = after(
    newJobRecord({ ...job, options: { refineSteps: 0 }, merge: null }, new Date(0)),
    startJob,
    ...finished('calibrate', 'emulate', 'train', 'correct'),
  );
  expect(nextStep(unrefined)).toEqual({ kind: 'outcome' });
  expect(nextStep(after(unrefined, storeOutcome([], { budgetBytes: 1 })))).toEqual({
    kind: 'end',
    state: 'SUCCEEDED',
  });
});

test('a cancelled job ends so from wherever it was, and whatever came of its last stage', () => {
  const queued = after(newJobRecord(job, new Date(0)), requestCancel);
  expect(nextStep(queued)).toEqual({ kind: 'end', state: 'CANCELLED' });
  const running = after(
    newJobRecord(job, new Date(0)),
    startJob,
    startStage('train'),
    requestCancel,
  );
  expect(after(running, startStage('correct'))).toBe(running);
  expect(after(running, finishJob({ state: 'SUCCEEDED', report: {} })).state).toBe('CANCELLED');
  const over = after(running, finishJob({ state: 'CANCELLED' }));
  expect(after(over, requestCancel, finishJob({ state: 'FAILED', error: {} }), startJob)).toBe(
    over,
  );
});

test.each([
  ['0.25:2,0.5:2', { kind: 'outcome' }],
  ['0.25:2,1:2x64', { kind: 'stages', stages: ['refine'] }],
])('levels %s decide whether there is refinement', (levels, step) => {
  const options = { levels };
  const record = newJobRecord({ ...job, options, merge: null }, new Date(0));
  const done = finished('calibrate', 'emulate', 'train', 'correct');
  expect(nextStep(after(record, startJob, ...done))).toEqual(step);
});
