import { stripVTControlCharacters } from 'node:util';
import type { JobEvent, StageName } from '@emloc/pipeline';

import { createProgress } from './progress.js';
import { TimeLeft } from './time-left.js';

const stage = (name: StageName, state: 'started' | 'finished'): JobEvent => ({
  ...{ type: 'stage', stage: name, state },
});

const progress = (name: StageName, task: string, done: number, total: number): JobEvent => ({
  ...{ type: 'progress', stage: name, task, done, total },
});

const step = (number: number, steps = 100): JobEvent => ({
  ...{ type: 'step', stage: 'train', level: 1, step: number, steps, loss: 0.5 },
  ...{ learningRate: 0.25, gradientNorm: 2, tokens: 30, seconds: 2 },
  ...{
    deviceBytes: 5,
    peakDeviceBytes: 2 ** 20,
    budgetBytes: 2 ** 21,
    stallSeconds: 0,
    anchor: false,
  },
});

/** A display with a clock of its own; returns what it wrote. */
function shown(isTTY: boolean, events: readonly (readonly [number, JobEvent])[]): string {
  let [text, now] = ['', 0];
  const stream = {
    isTTY,
    columns: 200,
    write: (written: string) => {
      text += written;
      return true;
    },
    on: () => undefined,
  } as unknown as NodeJS.WriteStream;
  const display = createProgress({ stream, nowMs: () => now });
  for (const [seconds, event] of events) {
    now += seconds * 1000;
    display.observe(event);
  }
  display.stop();
  return text;
}

/** Blocks that are calibrated and factorised in turn, so many seconds each. */
const interleaved = (blocks: number, seconds: number): (readonly [number, JobEvent])[] => [
  [0, stage('calibrate', 'started')],
  [0, stage('emulate', 'started')],
  ...Array.from({ length: blocks }, (_, index) => [
    [seconds, progress('calibrate', 'calibrating', index + 1, blocks)] as const,
    [seconds, progress('emulate', 'factorising', index + 1, blocks)] as const,
  ]).flat(),
  [0, stage('calibrate', 'finished')],
  [0, stage('emulate', 'finished')],
];

it('has a line for each stage of a quick job, however its stages take turns', () => {
  expect(shown(false, interleaved(64, 0.01)).trimEnd().split('\n')).toEqual([
    ...['calibrate: started', 'emulate: started'],
    ...['calibrate: finished after 1.3 s', 'emulate: finished after 1.3 s'],
  ]);
});

it('says a bounded number of times how far a long job is', () => {
  const lines = shown(false, interleaved(1000, 60)).trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.length).toBeLessThanOrEqual(4 + 20);
  expect(lines).toContain('calibrate, emulate 500/1000  16 h 43 min left');
  const steps = Array.from({ length: 10_000 }, (_, index) => [2, step(index + 1, 10_000)] as const);
  const training = shown(false, [[0, stage('train', 'started')], ...steps])
    .trimEnd()
    .split('\n');
  expect(training.length).toBeGreaterThan(10);
  expect(training.length).toBeLessThanOrEqual(1 + 20);
  expect(training).toContain(
    'train 5000/10000  loss 0.5000  15 tokens/s  1.00 MiB of 2.00 MiB  2 h 46 min left',
  );
});

it('has one line that changes on a terminal, above which stands what is over', () => {
  const text = shown(true, [
    ...interleaved(8, 1),
    [0, stage('train', 'started')],
    [1, step(1)],
    [1, step(2)],
    [0, stage('train', 'finished')],
  ]);
  expect(stripVTControlCharacters(text).split('\n').slice(0, -1)).toEqual([
    expect.stringMatching(/calibrate, emulate .*calibrate: finished after 16\.0 s$/),
    'emulate: finished after 16.0 s',
    expect.stringMatching(/^train .*train: finished after 2\.0 s, loss 0\.5000$/),
  ]);
  expect(stripVTControlCharacters(text)).toMatch(
    /train +\S+ 1\/100 {2}loss 0\.5000 {2}15 tokens\/s {2}1\.00 MiB of 2\.00 MiB {2}1 min 39 s left/,
  );
});

it('shows work that is no job with the time that it takes', () => {
  let text = '';
  const stream = {
    isTTY: true,
    columns: 200,
    write: (written: string) => (text += written) !== '',
  };
  const display = createProgress({ stream: stream as unknown as NodeJS.WriteStream });
  display.update('evaluating', 1, 10);
  display.update('answering', 2, 5);
  display.stop();
  expect(stripVTControlCharacters(text)).toMatch(
    /evaluating +\S+ 1\/10 {2}\S+ left.*answering +\S+ 2\/5 {2}\S+ left/,
  );
});

describe('the time left', () => {
  const left = (events: readonly (readonly [number, JobEvent])[]): (number | null)[] => {
    let now = 0;
    const time = new TimeLeft(() => now);
    for (const [seconds, event] of events) {
      now += seconds * 1000;
      time.observe(event);
    }
    return [time.ofStages, time.ofJob].map((value) => value && Math.round(value));
  };
  const planned: JobEvent = {
    type: 'estimate',
    stages: [
      { name: 'emulate', seconds: 10 },
      { name: 'train', seconds: 100 },
      { name: 'correct', seconds: 20 },
      { name: 'refine', seconds: 30 },
    ],
  };

  it('is not known of a job that was not planned, or tells nothing yet', () => {
    expect(left([[0, planned]])).toEqual([null, null]);
    expect(
      left([
        [0, stage('train', 'started')],
        [5, step(1)],
      ]),
    ).toEqual([495, null]);
  });

  it('is as much longer than planned as the job has been', () => {
    // Twice as slow as planned, in emulation and in the first half of training.
    expect(
      left([
        [0, planned],
        [0, stage('emulate', 'started')],
        [20, stage('emulate', 'finished')],
        [0, stage('train', 'started')],
        ...Array.from({ length: 50 }, (_, index) => [2, step(index + 1)] as const),
      ]),
    ).toEqual([100, 100 + 2 * 50]);
  });

  it('goes by the steps of this process where training goes on from a state', () => {
    expect(
      left([
        [0, planned],
        [0, stage('train', 'started')],
        [1, step(81)],
        [1, step(82)],
      ]),
    ).toEqual([18, 18 + 50]);
  });
});
