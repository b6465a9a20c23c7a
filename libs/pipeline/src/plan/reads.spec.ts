import type { Checkpoint } from '@emloc/checkpoint';

import { measureReads, readBytes } from './reads.js';

describe('bytes that a stage reads', () => {
  const streaming = { uploadedBytes: 1000, weightBytes: 100, residentBytes: 20 };

  it('are the weights once where the host has room for what streams', () => {
    expect(readBytes({ ...streaming, hostBytes: 80 })).toEqual({ once: 100, again: 0, kept: 80 });
  });

  it('are also, of every further copy, the share that it has no room for', () => {
    expect(readBytes({ ...streaming, hostBytes: 60 })).toEqual({
      once: 100,
      again: 900 / 4,
      kept: 60,
    });
    expect(readBytes({ ...streaming, hostBytes: 0 })).toEqual({ once: 100, again: 900, kept: 0 });
  });

  it('stay nowhere where nothing is copied twice', () => {
    const once = { ...streaming, uploadedBytes: 100, hostBytes: 80 };
    expect(readBytes(once)).toEqual({ once: 100, again: 0, kept: 0 });
  });

  it('are no more than what is copied', () => {
    const few = { ...streaming, uploadedBytes: 30, hostBytes: 0 };
    expect(readBytes(few)).toEqual({ once: 30, again: 0, kept: 0 });
  });
});

it('is measured on the largest tensors that a buffer may hold, up to an amount', async () => {
  const read: string[] = [];
  const tensors = new Map([
    ['small', { shape: [8], dtype: 'bfloat16' as const }],
    ['table', { shape: [2 ** 18, 10_752], dtype: 'bfloat16' as const }],
    ['large', { shape: [2 ** 26], dtype: 'bfloat16' as const }],
    ['second', { shape: [2 ** 26 - 8], dtype: 'bfloat16' as const }],
    ['third', { shape: [2 ** 25], dtype: 'bfloat16' as const }],
  ]);
  const checkpoint: Pick<Checkpoint, 'tensors' | 'read'> = {
    tensors: tensors as unknown as Checkpoint['tensors'],
    read: (name) => {
      read.push(name);
      return Promise.resolve();
    },
  };
  expect(await measureReads({ checkpoint: checkpoint as Checkpoint })).toBeGreaterThanOrEqual(0);
  expect(read).toEqual(['large', 'second', 'small']);
});
