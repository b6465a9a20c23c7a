import { Buffer } from 'node:buffer';
import { mkdir } from 'node:fs/promises';
import { connect, type ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { CreateJobRequestSchema, PlanJobRequestSchema } from '@emloc/contracts';
import { programsIn, startLocalDeployment } from '@emloc/local-deployment';
import { codeOf } from '@emloc/rpc';

import type { Dice } from '../dice.js';
import { limits } from '../judge.js';
import type { Target, Workplace } from '../target.js';
import { mutateMessage } from '../wire.js';
import { addModel, enoughRows, writeRows } from '../workplace.js';

/** What a server says of a request that is wrong; anything else is a fault of the server's. */
const right = new Set([
  'OK',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'OUT_OF_RANGE',
  'RESOURCE_EXHAUSTED',
  'UNIMPLEMENTED',
]);

/**
 * Of Node's own count, in megabytes: what a server answers before it has read all of it stays in
 * that count for ever.
 */
const maxSessionMemory = 2 ** 20;

const otherMethods = ['GetJob', 'ListJobs', 'CancelJob', 'DeleteJob', 'WatchJob', 'ListArtifacts'];

/** Requests to a deployment of its own. */
export async function openRequestsTarget(place: Workplace): Promise<Target & AsyncDisposable> {
  const { root, folder } = place;
  const own = { root, folder: join(folder, 'requests') };
  await mkdir(own.folder, { recursive: true });
  const messages = await validMessages(own);
  const ended: string[] = [];
  const deployment = await startLocalDeployment({
    program: programsIn(join(root, 'dist')),
    stateDir: join(own.folder, 'state'),
    port: 0,
    flags: (service) =>
      service === 'coordinator' ? ['--model-roots', own.folder, '--data-roots', own.folder] : [],
    observer: {
      exited: (process, { code, signal }) => ended.push(`${process}: ${code} ${signal}`),
    },
  });
  const session = connect(`http://${deployment.endpoint}`, { maxSessionMemory });
  return {
    place: /^/,
    run: async (dice) => {
      const [method, message] = requestOf(messages, dice);
      const code = await send(session, method, mutateMessage(message, dice));
      if (ended.length > 0) throw new Error(`processes ended: ${ended.splice(0).join(', ')}`);
      if (!right.has(code)) throw new Error(`${method} is answered ${code}`);
    },
    [Symbol.asyncDispose]: async () => {
      session.close();
      await deployment.stop();
    },
  };
}

interface Messages {
  readonly create: Uint8Array;
  readonly plan: Uint8Array;
}

/** The one asks for a job of a model that is not there: none is to be trained. */
async function validMessages(place: Workplace): Promise<Messages> {
  const model = await addModel(place, 'model');
  const data = await writeRows(place.folder, enoughRows());
  const options = {
    data: { source: { case: 'path' as const, value: data } },
    ratios: ['.*mlp.*=0.4', '0.5'],
    targets: '.*q_proj',
    rank: 2,
    steps: 2,
    maxLength: 64,
    vramBytes: 2n ** 26n,
  };
  const job = { options: { ...options, model: join(place.folder, 'none') }, displayName: 'fuzz' };
  const requestId = '7f0e8a8e-6f0a-4c1e-9a52-3d1f4c1b2a90';
  return {
    create: toBinary(CreateJobRequestSchema, create(CreateJobRequestSchema, { job, requestId })),
    plan: toBinary(
      PlanJobRequestSchema,
      create(PlanJobRequestSchema, { options: { ...options, model } }),
    ),
  };
}

function requestOf(messages: Messages, dice: Dice): readonly [string, Uint8Array] {
  const kind = dice.below(10);
  if (kind < 5) return ['PlanJob', messages.plan];
  if (kind < 8) return ['CreateJob', messages.create];
  return [dice.pick(otherMethods), Buffer.from('\x0a\x08jobs/a-b')];
}

function send(session: ClientHttp2Session, method: string, message: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = session.request({
      ':method': 'POST',
      ':path': `/emloc.v1.JobService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: string | undefined;
    const read = (headers: Readonly<Record<string, unknown>>): void => {
      status = (headers['grpc-status'] as string | undefined) ?? status;
    };
    request.setTimeout(limits.clockMs, () => {
      request.close();
      reject(new Error(`${method} was not answered within ${limits.clockMs / 1000} s`));
    });
    request.on('response', read).on('trailers', read).on('error', reject);
    request.on('close', () => {
      if (status === undefined) reject(new Error(`${method} was ended without a status`));
      else resolve(status === '0' ? 'OK' : codeOf(Number(status)));
    });
    request.resume();
    request.end(framed(message));
  });
}

function framed(message: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}
