import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RpcError } from '@emloc/rpc';
import { until } from '@emloc/time/testing';

import { sha256Of } from '../src/testing/index.js';
import { bytesOf, closeAll, start, temporaryFolder, thrownBy } from './fixtures.js';

afterEach(closeAll);

const bytes = bytesOf(3_000_000);
const away = new RpcError('UNAVAILABLE', 'not now');

async function fileWith(contents: Uint8Array): Promise<string> {
  const file = join(await temporaryFolder(), 'rows.jsonl');
  await writeFile(file, contents);
  return file;
}

describe('uploadDataset', () => {
  it('stores a file, and tells how far it is', async () => {
    const { client, service } = await start();
    const progress: number[] = [];
    const dataset = await client.uploadDataset(await fileWith(bytes), {
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(dataset).toEqual({
      name: expect.stringMatching(/^datasets\//),
      displayName: 'rows.jsonl',
      sizeBytes: bytes.length,
      sha256: sha256Of(bytes),
      createTime: new Date(0),
    });
    expect(sha256Of(service.datasets.get(dataset.name)?.bytes ?? bytes.subarray(1))).toBe(
      sha256Of(bytes),
    );
    expect([progress[0], progress.at(-1), progress.length]).toEqual([
      0,
      1,
      Math.ceil(bytes.length / (256 * 1024)) + 1,
    ]);
  });

  it('stores bytes under a name, and nothing at all', async () => {
    const { client } = await start();
    expect(await client.uploadDataset(bytes.subarray(0, 10), { displayName: 'ten' })).toMatchObject(
      { displayName: 'ten', sizeBytes: 10 },
    );
    expect(await client.uploadDataset(new Uint8Array(0))).toMatchObject({
      displayName: '',
      sizeBytes: 0,
    });
  });

  it('sends everything again when the server was away or the connection was cut', async () => {
    const { client, service } = await start();
    service.faults.next(
      'uploadDataset',
      { kind: 'failAfter', messages: 5, error: away },
      { kind: 'fail', error: away },
      { kind: 'cutAfter', messages: 7 },
    );
    const { name } = await client.uploadDataset(await fileWith(bytes));
    expect(service.counts.uploadDataset).toBe(4);
    expect(sha256Of(service.datasets.get(name)?.bytes ?? bytes.subarray(1))).toBe(sha256Of(bytes));
  });

  it('does not when the server refuses it', async () => {
    const { client, service } = await start();
    service.faults.next('uploadDataset', {
      kind: 'failAfter',
      messages: 3,
      error: new RpcError('RESOURCE_EXHAUSTED', 'at most 1 MiB'),
    });
    expect(await thrownBy(() => client.uploadDataset(bytes))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'at most 1 MiB',
    });
    expect(service.counts.uploadDataset).toBe(1);
  });

  it('refuses a file that changes meanwhile, and stores nothing', async () => {
    const { client, service } = await start();
    const file = await fileWith(bytes);
    const error = await thrownBy(() =>
      client.uploadDataset(file, {
        onProgress: (done) => done === 0 && appendFileSync(file, 'more'),
      }),
    );
    expect(error.code).toBe('SDK_FILE_CHANGED');
    expect(service.datasets.size).toBe(0);
  });

  it('waits for no pipe', async () => {
    const { client } = await start();
    const pipe = join(await temporaryFolder(), 'rows.jsonl');
    execFileSync('mkfifo', [pipe]);
    const error = await thrownBy(() => client.uploadDataset(pipe));
    expect([error.code, error.message]).toEqual([
      'SDK_FILE_FAILED',
      `cannot read ${pipe}: ${pipe} is not a regular file`,
    ]);
  });

  it('says which file cannot be read', async () => {
    const { client } = await start();
    const error = await thrownBy(() => client.uploadDataset('/nowhere/rows.jsonl'));
    expect(error.code).toBe('SDK_FILE_FAILED');
    expect(error.message).toContain('/nowhere/rows.jsonl');
  });

  it('sends at the speed of the server, and stops with an abort', async () => {
    const { client, service } = await start();
    service.faults.next('uploadDataset', { kind: 'hang' });
    const abort = new AbortController();
    let sent = 0;
    const uploading = client.uploadDataset(new Uint8Array(64 * 1024 * 1024), {
      signal: abort.signal,
      onProgress: (done) => (sent = done),
    });
    const settled = thrownBy(() => uploading);
    // Held back: other calls are answered, and nothing more is sent meanwhile.
    await until(async () => {
      const before = sent;
      for (let call = 0; call < 50; call += 1) await client.listJobsPage();
      return sent > 0 && sent === before;
    }, 'the upload to be held back');
    expect(sent).toBeLessThan(8 * 1024 * 1024);
    abort.abort();
    expect((await settled).code).toBe('CANCELLED');
  });
});
