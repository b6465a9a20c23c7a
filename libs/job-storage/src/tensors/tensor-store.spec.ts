import { startStorage, type StorageHarness } from '../testing/index.js';
import { memorySource } from './memory.js';
import type { TensorSource } from './tensor.js';

let harness: StorageHarness;
beforeAll(async () => {
  harness = await startStorage();
});
afterAll(() => harness.stop());

function bytesOf(byteLength: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, index) => (index * 31 + seed * 17) >> 3);
}

const tensor = (name: string, bytes: Uint8Array): TensorSource =>
  memorySource({ name, dtype: 'bfloat16', shape: [bytes.length / 2] }, bytes);

async function keys(): Promise<string[]> {
  return harness.storage.tensors.list('job-1/');
}

test('keeps tensors by key until they are deleted, and replaces them at once', async () => {
  const store = harness.storage.tensors;
  await store.write('job-1/statistics/7', {
    tensors: [tensor('gram', bytesOf(90_000, 7))],
    attributes: { rows: '5' },
  });
  await store.write('job-1/statistics/7', {
    tensors: [tensor('gram', bytesOf(50_000, 8))],
    attributes: { rows: '6' },
  });
  const stored = await store.open('job-1/statistics/7');
  expect([stored?.attributes, stored?.tensors]).toEqual([
    { rows: '6' },
    [{ name: 'gram', dtype: 'bfloat16', shape: [25_000], byteLength: 50_000 }],
  ]);
  expect(Buffer.compare((await stored?.toMemory())?.[0] ?? Buffer.of(), bytesOf(50_000, 8))).toBe(
    0,
  );
  expect(await keys()).toEqual(['job-1/statistics/7']);
  expect(await store.delete('job-1/statistics/7')).toBe(true);
  expect(await store.open('job-1/statistics/7')).toBeUndefined();
});

test('gives every tensor its own bytes, odd and empty ones included, beyond a chunk too', async () => {
  const parts = [200_001, 0, 2_000_003, 0, 1, 70_000].map(bytesOf);
  const store = harness.storage.tensors;
  await store.write('job-1/mixed', {
    tensors: parts.map((bytes, index) => tensor(`t${index}`, bytes)),
  });
  const read = await (await store.open('job-1/mixed'))?.toMemory();
  expect(read?.map((bytes, index) => Buffer.compare(bytes, parts[index] ?? bytes))).toEqual(
    parts.map(() => 0),
  );
});

test('says of which tensors the store has lost a part', async () => {
  const { tensors, tensorBucket } = harness.storage;
  await tensors.write('job-1/lost', { tensors: [tensor('t', bytesOf(10, 1))] });
  const { id } = (await tensorBucket.info('job-1/lost')) ?? { id: '' };
  await tensorBucket.discard(id);
  await expect((await tensors.open('job-1/lost'))?.toMemory()).rejects.toMatchObject({
    code: 'TENSOR_BUS_CORRUPT',
    message: expect.stringContaining('job-1/lost'),
  });
});
