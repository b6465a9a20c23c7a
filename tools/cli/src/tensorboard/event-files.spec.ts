import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { at } from '@emloc/checked';
import { tensorboardV1 } from '@emloc/contracts';
import type { JobEvent } from '@emloc/pipeline';

import { crc32c } from './crc32c.js';
import { EventFiles } from './event-files.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-tensorboard-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms. */
it.each([
  ['32 bytes of zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 incrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  ['32 decrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
  ['the digits from 1 to 9', Buffer.from('123456789'), 0xe3069283],
  ['nothing', Buffer.alloc(0), 0],
])('the CRC-32C of %s is the published one', (_, bytes, value) => {
  expect(crc32c(bytes)).toBe(value);
});

/** Undoes the mask, as TensorFlow's crc32c.h has it. */
function unmasked(value: number): number {
  const rotated = (value - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** The records of a file, whose framing is checked. */
async function eventsIn(path: string) {
  const bytes = await readFile(path);
  const events: tensorboardV1.Event[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(offset));
    expect(unmasked(bytes.readUInt32LE(offset + 8))).toBe(
      crc32c(bytes.subarray(offset, offset + 8)),
    );
    const data = bytes.subarray(offset + 12, offset + 12 + length);
    expect(data).toHaveLength(length);
    expect(unmasked(bytes.readUInt32LE(offset + 12 + length))).toBe(crc32c(data));
    events.push(fromBinary(tensorboardV1.EventSchema, data));
    offset += length + 16;
  }
  return events;
}

const step = (number: number): JobEvent => ({
  ...{ type: 'step', stage: 'train', level: 2, step: number, steps: 9, loss: 0.5 },
  ...{ learningRate: 0.25, gradientNorm: 2, tokens: 30, seconds: 2 },
  ...{ deviceBytes: 5, peakDeviceBytes: 8, budgetBytes: 10, stallSeconds: 0.125, anchor: false },
});

const begun = (stage: 'train' | 'refine', number: number): JobEvent => ({
  ...{ type: 'begun', stage, step: number, level: 1, validated: [] },
});

it('has what is told of the steps, in a run for each stage', async () => {
  {
    using files = new EventFiles(folder, () => new Date(1_700_000_000_500));
    files.observe(begun('train', 0));
    files.observe({ type: 'validation', stage: 'train', level: 1, step: 0, loss: 4 });
    files.observe(step(1));
    files.observe({ type: 'notice', message: 'secret' });
    files.observe(begun('refine', 0));
  }
  expect((await readdir(folder)).sort()).toEqual(['refine', 'train']);
  const names = await readdir(join(folder, 'train'));
  expect(names).toEqual([`events.out.tfevents.1700000000.emloc.${process.pid}`]);
  const events = await eventsIn(join(folder, 'train', at(names, 0)));
  expect(
    events.map((event) => [
      event.wallTime,
      Number(event.step),
      event.what.case === 'summary'
        ? event.what.value.value.map(({ tag, simpleValue }) => `${tag} ${simpleValue}`)
        : event.what.value,
    ]),
  ).toEqual([
    [1_700_000_000.5, 0, 'brain.Event:2'],
    [1_700_000_000.5, 0, expect.objectContaining({ status: 1 })],
    [1_700_000_000.5, 0, ['validation_loss 4']],
    [
      1_700_000_000.5,
      1,
      [
        ...['loss 0.5', 'learning_rate 0.25', 'gradient_norm 2', 'items_per_second 15'],
        ...['device_bytes 5', 'peak_device_bytes 8', 'budget_bytes 10', 'stall_seconds 0.125'],
        'level 2',
      ],
    ],
  ]);
});

it('says in a later file which steps of an interrupted run do not count', async () => {
  for (const [seconds, done] of [
    [100, 0],
    [101, 4],
  ] as const) {
    using files = new EventFiles(folder, () => new Date(seconds * 1000));
    files.observe(begun('train', done));
    files.observe(step(done + 1));
  }
  const names = (await readdir(join(folder, 'train'))).sort();
  expect(names).toHaveLength(2);
  const events = await eventsIn(join(folder, 'train', at(names, 1)));
  const start = events.find(({ what }) => what.case === 'sessionLog');
  expect([Number(start?.step), Number(events.at(-1)?.step)]).toEqual([5, 5]);
});
