import type { Checkpoint } from '@emloc/checkpoint';

import { measureReads, readBytes } from './reads.js';

describe('bytes that a stage reads', () => {
  const streaming = { uploadedBytes: 1000, weightBytes: 100, residentBytes: 20 };

  it('are the weights once where the host has room for what streams', () => {
    expect(readBytes({ ...streaming, hostBytes: 80 })).toBe(100);
  });

  it('are also, of every further copy, the share that it has no room for', () => {
    expect(readBytes({ ...streaming, hostBytes: 60 })).toBe(100 + 900 / 4);
    expect(readBytes({ ...streaming, hostBytes: 0 })).toBe(1000);
  });

  it('are no more than what is copied', () => {
    expect(readBytes({ ...streaming, uploadedBytes: 30, hostBytes: 0 })).toBe(30);
  });
});

it('is measured on the largest tensors that a buffer may hold', async () => {
  const read: string[] = [];
  const tensors = new Map([
    ['small', { shape: [8], dtype: 'bfloat16' as const }],
    ['table', { shape: [2 ** 18, 10_752], dtype: 'bfloat16' as const }],
    ['large', { shape: [2 ** 25], dtype: 'bfloat16' as const }],
  ]);
  const checkpoint: Pick<Checkpoint, 'tensors' | 'read'> = {
    tensors: tensors as unknown as Checkpoint['tensors'],
    read: (name) => {
      read.push(name);
      return Promise.resolve();
    },
  };
  expect(await measureReads({ checkpoint: checkpoint as Checkpoint })).toBeGreaterThanOrEqual(0);
  expect(read).toEqual(['large']);
});
