import { Device, MemoryBudget, type Tensor } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import type { Block } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import { lendFactors } from './lent-factors.js';
import type { PagedModel, PassContext } from './paged-model.js';
import { BlockVisit } from './walk.js';

const [rank, stored, inFeatures, outFeatures] = [2, 6, 5, 4];
const place = stored - 3;

function upload(device: Device, values: readonly number[], shape: readonly number[]): Tensor {
  return device.tensor(
    { bytes: new Uint8Array(Float32Array.from(values).buffer), dtype: 'float32' },
    shape,
    'float32',
    'factors',
    shape.join('x'),
  );
}

/**
 * A block of two low-rank layers of one size: adapters of these ranks, factors of rank 2 stored as
 * 6.
 */
function open(adapterRanks: Readonly<Record<string, number>>) {
  const device = new Device(createCpuBackend(), new MemoryBudget(2 ** 20));
  const filled = (
    rows: number,
    columns: number,
    isSpare: (row: number, column: number) => boolean,
  ): Tensor =>
    upload(
      device,
      Array.from({ length: rows * columns }, (_, index) =>
        isSpare(Math.floor(index / columns), index % columns) ? 0 : 1 + index,
      ),
      [rows, columns],
    );
  const tensors = new Map<string, Tensor>();
  const bindings = new Map<
    string,
    { rank: number; scale: number; a: Tensor; b: Tensor; gradients: null }
  >();
  for (const [name, adapterRank] of Object.entries(adapterRanks)) {
    tensors.set(
      `${name}.u`,
      filled(outFeatures, stored, (_, column) => column >= rank),
    );
    tensors.set(
      `${name}.v`,
      filled(stored, inFeatures, (row) => row >= rank),
    );
    const never = (): boolean => false;
    bindings.set(name, {
      rank: adapterRank,
      scale: 2,
      a: filled(adapterRank, inFeatures, never),
      b: filled(outFeatures, adapterRank, never),
      gradients: null,
    });
  }
  const linears = Object.keys(adapterRanks).map((name) => ({ name }));
  const block = { program: { linears } } as unknown as Block;
  const model = { device, rankOf: () => rank } as unknown as PagedModel;
  const adapter = {
    binding: (_block: Block, name: string) => bindings.get(name) ?? null,
    pathOf: (_block: Block, name: string) => name,
  } as unknown as DeviceAdapter;
  const read = async (name: string): Promise<number[]> => [
    ...(await device.download(tensors.get(name) as Tensor)),
  ];
  return { model, adapter, block, tensors, bindings, device, read };
}

test('writes scale · B behind U and A below V, and takes both back', async () => {
  const { model, adapter, block, tensors, bindings, device, read } = open({ small: 3 });
  const before = [await read('small.u'), await read('small.v')];
  const lent = lendFactors({ model, adapter, block, tensors });
  expect(lent.at('small')).toBe(place);
  const [u, v] = [await read('small.u'), await read('small.v')];
  const { a, b } = bindings.get('small') as { a: Tensor; b: Tensor };
  const [aValues, bValues] = [[...(await device.download(a))], [...(await device.download(b))]];
  expect(v.slice(place * inFeatures)).toEqual(aValues);
  for (let row = 0; row < outFeatures; row += 1) {
    expect(u.slice(row * stored + place, (row + 1) * stored)).toEqual(
      bValues.slice(row * 3, row * 3 + 3).map((value) => 2 * value),
    );
  }
  lent.takeBack();
  expect([await read('small.u'), await read('small.v')]).toEqual(before);
});

test('leaves alone what has no room, no adapter, no factors or no known rank', async () => {
  const { model, adapter, block, tensors, read } = open({ exact: 4, large: 5 });
  const large = [await read('large.u'), await read('large.v')];
  const lent = lendFactors({ model, adapter, block, tensors });
  expect([lent.at('exact'), lent.at('large'), lent.at('absent')]).toEqual([rank, null, null]);
  expect([await read('large.u'), await read('large.v')]).toEqual(large);
  lent.takeBack();
  expect(
    lendFactors({ model: { ...model, rankOf: undefined }, adapter, block, tensors }).at('exact'),
  ).toBeNull();
  expect(lendFactors({ model, adapter, block, tensors: new Map() }).at('exact')).toBeNull();
});

test.each([true, false])(
  'lent factors stay lent for the next visit where it is %p that the weights stay',
  async (isLasting) => {
    const { model, adapter, block, tensors, read } = open({ small: 3 });
    const before = await read('small.u');
    const visit = () => new BlockVisit(model, {} as PassContext, block, { tensors, isLasting });
    const [first, second] = [visit(), visit()];
    first.lend(adapter);
    const lent = await read('small.u');
    const kept = first.keepLent();
    first[Symbol.dispose]();
    expect(kept !== null).toBe(isLasting);
    expect(await read('small.u')).toEqual(isLasting ? lent : before);
    second.lend(adapter, kept ?? undefined);
    expect(await read('small.u')).toEqual(lent);
    second[Symbol.dispose]();
    expect(await read('small.u')).toEqual(before);
  },
);
