import { create, toJson } from '@bufbuild/protobuf';
import { TuneOptionsSchema } from '@emloc/contracts';

import { datasetsToRemove, type Referring } from './dataset-removal.js';
import { datasetKey } from './datasets.js';

const [first, second] = ['a'.repeat(64), 'b'.repeat(64)];
const retention = { nowMs: Date.parse('2026-01-01T00:00:10.000Z'), retentionMs: 10_000 };
const stored = [first, second].map((sha256) => ({
  name: datasetKey('t', sha256),
  modified: '2026-01-01T00:00:00.000Z',
}));
const source = (sha256: string) => ({
  source: { case: 'dataset' as const, value: `datasets/${sha256}` },
});
const jobOf = (
  tenant: string,
  options: Parameters<typeof create<typeof TuneOptionsSchema>>[1],
  changes: Partial<Referring> = {},
): Referring => ({
  tenant,
  options: toJson(TuneOptionsSchema, create(TuneOptionsSchema, options)),
  ...changes,
});

test.each<[string, Referring[], typeof retention, number[]]>([
  ['that are old go', [], retention, [0, 1]],
  ['that are younger stay', [], { ...retention, nowMs: retention.nowMs - 1 }, []],
  ['stay for ever', [], { ...retention, retentionMs: 0 }, []],
  ['of a job stay', [jobOf('t', { data: source(first) })], retention, [1]],
  [
    'for validation stay',
    [jobOf('t', { data: { source: { case: 'path', value: '/x' } }, validation: source(second) })],
    retention,
    [0],
  ],
  [
    'of several files of a job stay',
    [
      jobOf('t', {
        data: { source: { case: 'path', value: '/x' } },
        moreData: [{ source: { case: 'path', value: '/y' } }, source(first)],
      }),
    ],
    retention,
    [1],
  ],
  [
    'of a deleted job go',
    [jobOf('t', { data: source(first) }, { deleteTime: '2026-01-01T00:00:00.000Z' })],
    retention,
    [0, 1],
  ],
  [
    "of the same contents of another tenant's job go",
    [jobOf('u', { data: source(first) })],
    retention,
    [0, 1],
  ],
])('data sets %s', (_, jobs, rule, expected) => {
  expect(datasetsToRemove(stored, jobs, rule)).toEqual(expected.map((index) => stored[index]));
});
