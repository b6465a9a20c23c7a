import { readdirSync, writeFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { CreateJobRequestSchema } from '@emloc/contracts';
import { codeOf, hashToken, type RpcCode } from '@emloc/rpc';

import {
  jobRequest,
  startDeployment,
  type Deployment,
  type RunningCoordinator,
} from './deployment.js';

let deployment: Deployment;
let coordinator: RunningCoordinator;
let session: ClientHttp2Session;
beforeAll(async () => {
  deployment = await startDeployment();
  const tokens = [
    { tenant: 'one', sha256: hashToken('token-one') },
    { tenant: 'two', sha256: hashToken('token-two') },
    { tenant: 'old', sha256: hashToken('token-old'), expiresAt: '2020-01-01T00:00:00Z' },
  ];
  writeFileSync(join(deployment.folder, 'tokens.json'), JSON.stringify(tokens));
  coordinator = await deployment.start({ 'tokens-file': join(deployment.folder, 'tokens.json') });
  session = connect(`http://${coordinator.address}`);
});
afterAll(async () => {
  session.close();
  await deployment.close();
});

/** Sends bytes as they are to a method. */
function send(method: string, body: Buffer, token = 'token-one'): Promise<RpcCode | 'OK'> {
  return new Promise((resolve, reject) => {
    const request = session.request({
      ':method': 'POST',
      ':path': `/emloc.v1.JobService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${token}`,
    });
    let status: string | undefined;
    const read = (headers: Readonly<Record<string, unknown>>): void => {
      status = (headers['grpc-status'] as string | undefined) ?? status;
    };
    request.on('response', read).on('trailers', read).on('error', reject);
    request.on('close', () => resolve(status === '0' ? 'OK' : codeOf(Number(status))));
    request.resume();
    request.end(body);
  });
}

function framed(message: Uint8Array, { length = message.length, compressed = 0 } = {}): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(compressed, 0);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}

/** A small generator of random numbers, the same in every run (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const random = randomFrom(20261124);
const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)));
const valid = (): Uint8Array =>
  toBinary(
    CreateJobRequestSchema,
    create(CreateJobRequestSchema, jobRequest(deployment, {}, 'no-uuid')),
  );
const methods = [
  'CreateJob',
  'GetJob',
  'ListJobs',
  'CancelJob',
  'DeleteJob',
  'WatchJob',
  'ListArtifacts',
  'DownloadArtifact',
  'UploadDataset',
  'PlanJob',
];
/** Bytes of a message whose field 1 is a text. */
const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from([0x0a, value.length]), Buffer.from(value)]);

const refused: readonly (RpcCode | 'OK')[] = ['INVALID_ARGUMENT'];

test('a message may be as large as the option says, and no larger', async () => {
  const small = await deployment.start({ 'max-message-bytes': '2MiB' });
  const createWith = (length: number) => small.jobs.createJob({ requestId: 'x'.repeat(length) });
  await expect(createWith(2 * 2 ** 20 - 100)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(createWith(2 * 2 ** 20 + 1)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('300 hostile requests get the codes that they should, and leave nothing', async () => {
  const filesBefore = readdirSync(deployment.folder).sort();
  const foreign = (await coordinator.as('token-two').createJob(jobRequest(deployment))).name;
  const kinds: readonly [
    name: string,
    count: number,
    send: (at: number) => Promise<RpcCode | 'OK'>,
    expected: readonly (RpcCode | 'OK')[],
  ][] = [
    [
      'an invalid tag',
      45,
      (at) =>
        send(
          methods[at % methods.length] ?? '',
          framed(Buffer.concat([Buffer.from([0x07]), bytes(random(300))])),
        ),
      refused,
    ],
    [
      'a length beyond the end',
      45,
      (at) =>
        send(
          methods[at % methods.length] ?? '',
          framed(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, ...bytes(random(50))])),
        ),
      refused,
    ],
    [
      'a truncated request',
      40,
      () => send('CreateJob', framed(valid().subarray(0, 1 + random(valid().length - 2)))),
      refused,
    ],
    [
      'a request with flipped bits',
      60,
      () => {
        const flipped = Buffer.from(valid());
        for (let count = 0; count <= random(4); count += 1) {
          const at = random(flipped.length);
          flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << random(8)), at);
        }
        return send('CreateJob', framed(flipped));
      },
      refused,
    ],
    [
      'a message that is too large',
      5,
      () => send('GetJob', framed(Buffer.alloc(4 * 2 ** 20 + 1))),
      ['RESOURCE_EXHAUSTED'],
    ],
    [
      'a path that escapes',
      40,
      (at) => {
        const model =
          [
            '/etc',
            '/proc/self',
            `${deployment.model}/../../..`,
            '../../etc',
            '/',
            `${deployment.model}/..%2f..`,
            '\0',
            `${deployment.folder}/nats`,
          ][at % 8] ?? '';
        return send(
          'CreateJob',
          framed(
            toBinary(
              CreateJobRequestSchema,
              create(CreateJobRequestSchema, jobRequest(deployment, { model })),
            ),
          ),
        );
      },
      refused,
    ],
    [
      'a job of another tenant',
      20,
      (at) =>
        send(
          ['GetJob', 'CancelJob', 'DeleteJob', 'WatchJob', 'ListArtifacts'][at % 5] ?? '',
          framed(text(foreign)),
        ),
      ['NOT_FOUND'],
    ],
    [
      'a name of no known form',
      20,
      (at) =>
        send(
          ['GetJob', 'CancelJob', 'DeleteJob', 'DownloadArtifact', 'ListArtifacts'][at % 5] ?? '',
          framed(
            text(['jobs/*', 'jobs/>', 'jobs/a.b', '', 'jobs/../x', `${foreign}/`][at % 6] ?? ''),
          ),
        ),
      refused,
    ],
    [
      'a token that has expired',
      10,
      () => send('ListJobs', framed(Buffer.alloc(0)), 'token-old'),
      ['UNAUTHENTICATED'],
    ],
    [
      'a token that is made up',
      10,
      () => send('ListJobs', framed(Buffer.alloc(0)), bytes(20).toString('hex')),
      ['UNAUTHENTICATED'],
    ],
    [
      'a method that is not there',
      5,
      () => send('DropJobs', framed(Buffer.alloc(0))),
      ['UNIMPLEMENTED'],
    ],
  ];
  expect(kinds.reduce((sum, [, count]) => sum + count, 0)).toBe(300);
  global.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  const wrong: string[] = [];
  for (const [name, count, attack, expected] of kinds) {
    for (let at = 0; at < count; at += 1) {
      const code = await attack(at);
      if (!expected.includes(code)) wrong.push(`${name} ${at}: ${code}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(64 * 2 ** 20);
  expect(readdirSync(deployment.folder).sort()).toEqual(filesBefore);
  expect((await coordinator.as('token-one').listJobs({})).jobs).toEqual([]);
});
