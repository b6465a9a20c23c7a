import { isToBeRemoved, type Removable } from './removal.js';

const over: Removable = { state: 'FAILED', settled: true, endTime: '2026-01-01T00:00:00.000Z' };
const rule = { nowMs: Date.parse('2026-01-01T00:00:10.000Z'), retentionMs: 10_000 };

test.each<[string, Removable, typeof rule, boolean]>([
  ['over for the retention', over, rule, true],
  ['over for less', over, { ...rule, nowMs: rule.nowMs - 1 }, false],
  ['kept for ever', over, { ...rule, retentionMs: 0 }, false],
  [
    'deleted, where jobs are kept for ever',
    { ...over, deleteTime: over.endTime ?? '' },
    { ...rule, retentionMs: 0 },
    true,
  ],
  [
    'deleted before its work was discarded',
    { ...over, settled: false, deleteTime: over.endTime ?? '' },
    rule,
    false,
  ],
  ['still at work', { ...over, state: 'RUNNING', settled: false, endTime: null }, rule, false],
])('a job that is %s', (_, job, when, expected) => {
  expect(isToBeRemoved(job, when)).toBe(expected);
});
