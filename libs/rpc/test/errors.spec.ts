import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema, JobSchema, JobService, StatusSchema } from '@emloc/contracts';
import { Client, credentials } from '@grpc/grpc-js';

import {
  codeNumber,
  codeOf,
  fromStatus,
  invalidRequest,
  rpcCodes,
  RpcError,
  toRpcError,
  toStatus,
} from '../src/index.js';
import { closeAll, startServer, thrownBy } from './fixtures.js';

afterEach(closeAll);

class EngineError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

describe('errors over the wire', () => {
  it('keep code, reason, metadata, field violations and retry delay', async () => {
    const sent = new RpcError('RESOURCE_EXHAUSTED', 'too many jobs', {
      reason: 'TOO_MANY_JOBS',
      metadata: { tenant: 'a' },
      fieldViolations: [{ field: 'job', description: 'one too many' }],
      retryDelayMs: 1500,
    });
    const { channel } = await startServer({ createJob: () => Promise.reject(sent) });
    const got = await thrownBy(() =>
      channel({ retry: { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 } })
        .client(JobService)
        .createJob({}),
    );
    expect(got).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'too many jobs',
      reason: 'TOO_MANY_JOBS',
      domain: 'emloc',
      metadata: { tenant: 'a' },
      retryDelayMs: 1500,
      fieldViolations: [{ field: 'job', description: 'one too many' }],
    });
  });

  it('hide what is not an error of this product', async () => {
    const { channel } = await startServer({
      getJob: () => Promise.reject(new Error('password is hunter2')),
    });
    const error = await thrownBy(() => channel().client(JobService).getJob({}));
    expect(error.code).toBe('INTERNAL');
    expect(JSON.stringify(error) + error.message).not.toContain('hunter2');
  });

  it('are sent when their texts are long, many or no valid Unicode', async () => {
    const violations = Array.from({ length: 500 }, (_, i) => ({
      field: `row ${i}`,
      description: 'x'.repeat(1000),
    }));
    const { channel } = await startServer({
      getJob: () =>
        Promise.reject(
          new RpcError('INVALID_ARGUMENT', `\ud800${'ü'.repeat(100_000)}`, {
            metadata: { layer: 'y'.repeat(100_000) },
          }),
        ),
      listJobs: () => Promise.reject(invalidRequest(violations)),
    });
    const client = channel().client(JobService);
    expect(await thrownBy(() => client.getJob({}))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_ARGUMENT',
    });
    const error = await thrownBy(() => client.listJobs({}));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_REQUEST' });
    expect(error.fieldViolations[0]?.field).toBe('row 0');
  });

  it('are INVALID_ARGUMENT for bytes that are no message', async () => {
    const { port } = await startServer({ getJob: () => Promise.resolve({}) });
    const client = new Client(`localhost:${port}`, credentials.createInsecure());
    const same = (bytes: Buffer): Buffer => bytes;
    const code = await new Promise((resolve) => {
      client.makeUnaryRequest(
        '/emloc.v1.JobService/GetJob',
        same,
        same,
        Buffer.from([0x0a, 0xff, 0xff, 0xff]),
        (error) => resolve(error?.code),
      );
    });
    client.close();
    expect(code).toBe(codeNumber('INVALID_ARGUMENT'));
  });

  it('are RESOURCE_EXHAUSTED for messages above the limit', async () => {
    const { channel } = await startServer(
      { getJob: () => Promise.resolve({}) },
      { maxReceiveBytes: 1000 },
    );
    const error = await thrownBy(() =>
      channel()
        .client(JobService)
        .getJob({ name: 'x'.repeat(2000) }),
    );
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
  });

  it('are UNIMPLEMENTED for methods that are not there', async () => {
    const { channel } = await startServer({});
    expect((await thrownBy(() => channel().client(JobService).planJob({}))).code).toBe(
      'UNIMPLEMENTED',
    );
  });
});

describe('toRpcError', () => {
  it.each([
    ['DEVICE_OUT_OF_BUDGET', 'RESOURCE_EXHAUSTED'],
    ['DATASET_INVALID_ROW', 'INVALID_ARGUMENT'],
    ['CHECKPOINT_NOT_FOUND', 'NOT_FOUND'],
    ['PIPELINE_DOES_NOT_FIT', 'FAILED_PRECONDITION'],
    ['LEASE_LOST', 'ABORTED'],
    ['NATS_CLOSED', 'UNAVAILABLE'],
    ['DEVICE_NATIVE_FAILURE', 'INTERNAL'],
  ])('gives an engine error %s the code %s and keeps its text', (engineCode, code) => {
    const cause = new EngineError(engineCode, 'layer 3 needs 4 MiB');
    expect(toRpcError(cause, { stage: 'train' })).toMatchObject({
      code,
      reason: engineCode,
      message: 'layer 3 needs 4 MiB',
      metadata: { stage: 'train' },
      cause,
    });
  });

  it('gives what went wrong first, not what giving back met afterwards', () => {
    const cause = new EngineError('DEVICE_OUT_OF_BUDGET', 'layer 3 needs 4 MiB');
    const fail = (): never => {
      using _held = {
        [Symbol.dispose]: () => {
          throw new EngineError('DEVICE_NATIVE_FAILURE', 'free');
        },
      };
      throw cause;
    };

    expect(rpcErrorOf(fail)).toMatchObject({ reason: 'DEVICE_OUT_OF_BUDGET', cause });
  });

  it.each([
    new EngineError('ENOENT', '/secret/path'),
    new EngineError('ERR_INVALID_ARG_TYPE', 'x'),
    'a string',
    null,
  ])('takes %p for internal', (thrown) => {
    expect(toRpcError(thrown)).toMatchObject({
      code: 'INTERNAL',
      reason: 'INTERNAL',
      message: expect.not.stringContaining('secret'),
    });
  });

  it('adds metadata to an RpcError without replacing its own', () => {
    const error = toRpcError(new RpcError('ABORTED', 'x', { metadata: { stage: 'train' } }), {
      stage: 'other',
      layer: '3',
    });
    expect(error.metadata).toEqual({ stage: 'train', layer: '3' });
  });
});

describe('google.rpc.Status', () => {
  it('holds an error and gives it back', () => {
    const error = new RpcError('ABORTED', 'superseded', {
      reason: 'STAGE_SUPERSEDED',
      metadata: { attempt: '2' },
      retryDelayMs: 10,
    });
    expect(fromStatus(toStatus(error))).toMatchObject({ ...error });
  });

  it('may come without details, and with details that are not known', () => {
    expect(fromStatus(create(StatusSchema, { code: 5, message: 'x' }))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
    });
    const details = [
      anyPack(JobSchema, create(JobSchema, {})),
      anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: 'R', domain: 'elsewhere' })),
    ];
    expect(fromStatus(create(StatusSchema, { code: 99, details }))).toMatchObject({
      code: 'UNKNOWN',
      reason: 'R',
      domain: 'elsewhere',
    });
  });

  it('numbers the codes as gRPC does', () => {
    expect(rpcCodes.map(codeNumber)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(rpcCodes.map((code) => codeOf(codeNumber(code)))).toEqual(rpcCodes);
  });
});

function rpcErrorOf(run: () => never): RpcError {
  try {
    return run();
  } catch (error) {
    return toRpcError(error);
  }
}
