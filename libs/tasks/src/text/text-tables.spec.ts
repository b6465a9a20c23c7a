import { get } from '@emloc/checked';
import type { HostTable } from '@emloc/models';

import { fullRow } from '../../test/fixtures.js';
import { Prompts } from './text-prompts.js';
import { TextRows } from './text-rows.js';
import { TextTables } from './text-tables.js';

const table: HostTable = {
  ...{ stream: 'looked', rows: 'tokens', indices: 'ids', checkpointName: 'table.weight' },
  ...{ entries: 100, width: 2 },
};

/** Of each entry, two bytes that say which it is; counts the reads. */
function tables(): { readonly tables: TextTables; readonly read: Int32Array[] } {
  const read: Int32Array[] = [];
  const reader = {
    read: (_: HostTable, entries: Int32Array) => {
      read.push(entries);
      return Promise.resolve({ bytes: Uint8Array.from(entries), dtype: 'float32' as const });
    },
  };
  return { tables: new TextTables({ tables: [table] }, reader), read };
}

const rows = [fullRow([5, 7, 5]), fullRow([9, 2])];

describe('rows of a model with a table on the host', () => {
  it('bring what it has of their tokens, where it is wanted', async () => {
    const found = tables();
    const source = new TextRows(rows).lookingUp(found.tables);
    const { shape, values } = await source.load([1, 0]);
    expect(shape.values).toEqual(new Map([['looked', { rows: 'tokens', width: 2 }]]));
    expect(source.shape([1, 0])).toEqual(shape);
    expect([...get(values, 'looked').bytes]).toEqual([9, 2, 5, 7, 5]);

    expect((await source.load([0], (stream) => stream !== 'looked')).values).toEqual(new Map());
    expect(found.read).toHaveLength(1);
  });

  it('bring nothing but sizes where they are planned', async () => {
    const source = new TextRows(rows, null, new TextTables({ tables: [table] }, null));
    const { bytes, dtype } = get((await source.load([0])).values, 'looked');
    expect([bytes.byteLength, dtype]).toEqual([2 * 2 * 3, 'bfloat16']);
  });

  it('go on by tokens that bring theirs', async () => {
    const prompts = new Prompts(new TextRows(rows).lookingUp(tables().tables));
    const { shape, values, integers } = await prompts.step(Int32Array.of(4, 8));
    expect(shape).toEqual(prompts.stepShape(2));
    expect(shape.layouts.get('tokens')).toEqual([0, 1, 2]);
    expect([...get(values, 'looked').bytes]).toEqual([4, 8]);
    expect([...get(integers, 'targetRows')]).toEqual([0, 1]);
  });
});
