import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { FileRange } from '@emloc/checkpoint';
import type { HostTable, Model } from '@emloc/models';

import { assertSameTensors, guardReads, inputMismatchIn, TensorGuard } from './tensor-guard.js';

/** Two files with a tensor each, whose hashes are in `contents`. */
function setUp(contents: Record<string, string>, known: Record<string, string> = {}) {
  const hashed: string[] = [];
  const logged: [string, string][] = [];
  const names = Object.keys(contents);
  const options = {
    checkpoint: {
      tensors: new Map(
        names.map((name) => [
          name,
          { dtype: 'float32' as const, shape: [1], file: `${name}.safetensors` },
        ]),
      ),
      rangeOf: (name: string): FileRange => ({ path: name, start: 0, bytes: 4 }),
    },
    hasher: {
      hash: ({ path }: FileRange) => {
        hashed.push(path);
        return Promise.resolve(contents[path] ?? '');
      },
    },
    known: new Map(Object.entries(known)),
    remember: (tensor: string, hash: string) => {
      if (known[tensor] === undefined) logged.push([tensor, hash]);
      return Promise.resolve(known[tensor] ?? hash);
    },
  };
  return { options, guard: new TensorGuard(options), hashed, logged };
}

const mismatch = {
  code: 'PIPELINE_RESUME_MISMATCH',
  message: expect.stringMatching(/tensor b in b\.safetensors has other values/),
};

describe('TensorGuard', () => {
  it('hashes a tensor at its first read only, and remembers what no run has read before', async () => {
    const { guard, hashed, logged } = setUp({ a: '1', b: '2' }, { a: '1' });
    await Promise.all([guard.check('a'), guard.check('b'), guard.check('b')]);
    await guard.check('a');
    expect(hashed).toEqual(['a', 'b']);
    expect(logged).toEqual([['b', '2']]);
  });

  it('refuses every read of a tensor with other values than a run before has read', async () => {
    const { guard } = setUp({ b: 'other' }, { b: '2' });
    await expect(guard.check('b')).rejects.toMatchObject(mismatch);
    await expect(guard.check('b')).rejects.toMatchObject(mismatch);
  });

  it('checks at the end what only runs before have read', async () => {
    const { guard, hashed } = setUp({ a: '1', b: 'other', c: '3' }, { a: '1', b: '2' });
    await guard.check('a');
    await expect(guard.checkRest(['a', 'b'])).rejects.toMatchObject(mismatch);
    expect(hashed).toEqual(['a', 'b']);
  });
});

it('assertSameTensors looks at what was read before from the given files', async () => {
  const { options, hashed } = setUp({ a: 'other', b: 'other', c: '3' }, { a: '1', b: '2' });
  await assertSameTensors(new Set([resolve('c')]), options);
  expect(hashed).toEqual([]);
  await expect(assertSameTensors(new Set([resolve('b')]), options)).rejects.toMatchObject(mismatch);
  expect(hashed).toEqual(['b']);
});

it('guardReads ends a read when both it and the check have ended, failed or not', async () => {
  const ended: string[] = [];
  const model = {
    layout: { pages: [{ tensors: [{ name: 'w', checkpointName: 'model.w' }] }] },
    source: {
      layers: [],
      read: async () => {
        await setImmediate();
        ended.push('read');
      },
    },
  } as unknown as Model;
  const { source } = guardReads(model, async (tensor) => {
    ended.push(tensor);
    throw new Error('refused');
  });
  await expect(source.read(0, 'w', new Uint8Array(4))).rejects.toThrow('refused');
  expect(ended).toEqual(['model.w', 'read']);
});

it('guardReads checks a table of which rows are read', async () => {
  const checked: string[] = [];
  const table = { checkpointName: 'model.table' } as HostTable;
  const rows = { bytes: Uint8Array.of(1), dtype: 'float32' } as const;
  const model = {
    layout: { pages: [] },
    source: {},
    tables: { read: () => Promise.resolve(rows) },
  } as unknown as Model;
  const read = (check: (tensor: string) => Promise<void>) =>
    guardReads(model, check).tables.read(table, Int32Array.of(3));
  expect(await read((tensor) => Promise.resolve(void checked.push(tensor)))).toBe(rows);
  expect(checked).toEqual(['model.table']);
  await expect(read(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
});

it('inputMismatchIn finds why a read failed, below whatever it caused', async () => {
  const { guard } = setUp({ b: 'other' }, { b: '2' });
  const cause: unknown = await guard.check('b').catch((error: unknown) => error);
  expect(inputMismatchIn(new Error('pager', { cause: new Error('layer', { cause }) }))).toBe(cause);
  expect(inputMismatchIn(new Error('pager'))).toBeNull();
});
