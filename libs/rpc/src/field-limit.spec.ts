import process from 'node:process';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { CreateJobRequestSchema, type TuneOptionsSchema } from '@emloc/contracts';

import { hasTooManyFields } from './field-limit.js';

const requestOf = (options: MessageInitShape<typeof TuneOptionsSchema>): Uint8Array =>
  toBinary(
    CreateJobRequestSchema,
    create(CreateJobRequestSchema, { requestId: 'x', job: { options } }),
  );
const unknownFields = (count: number): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, () => Buffer.from([0xf8, 0x7f, 0x01])));
const groups = (count: number): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, () => Buffer.from([0xfb, 0x7f])));

test.each<[string, Uint8Array, boolean]>([
  ['nothing', new Uint8Array(), false],
  ['a request', requestOf({ model: 'm', ratios: ['0.5'] }), false],
  // request_id, job, its options and 97 texts
  [
    'as many texts as are allowed',
    requestOf({ ratios: Array.from({ length: 97 }, () => '') }),
    false,
  ],
  ['one text more', requestOf({ ratios: Array.from({ length: 98 }, () => '') }), true],
  ['as many unknown fields as are allowed', unknownFields(100), false],
  ['one unknown field more', unknownFields(101), true],
  ['nested groups', groups(101), true],
  ['one long text', requestOf({ model: 'm'.repeat(10_000) }), false],
  ['no message', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]), false],
])('%s', (_, bytes, expected) => {
  expect(hasTooManyFields(CreateJobRequestSchema, bytes, 100)).toBe(expected);
});

test('megabytes of fields are refused at once', () => {
  const bytes = requestOf({ ratios: Array.from({ length: 500_000 }, () => '') });
  const tries = Array.from({ length: 3 }, () => {
    const start = process.cpuUsage();
    expect(hasTooManyFields(CreateJobRequestSchema, bytes)).toBe(true);
    const { user, system } = process.cpuUsage(start);
    return user + system;
  });
  // What else the process had to do, such as collecting garbage, is not in all of them.
  expect(Math.min(...tries)).toBeLessThan(500_000);
});
