import { at } from '@emloc/checked';

import { sharedLayout } from '../../test/shared-chain.js';
import { openDevice } from '../../test/toy-chain.js';
import { cacheBytes, cachedSequences, CachePlaces, SequenceCache } from './sequence-cache.js';

it('blocks that read what another one made have its cache, and take no memory of their own', async () => {
  const device = openDevice();
  const layout = sharedLayout();
  const before = device.budget.inUseBytes;
  const cache = new SequenceCache(device, layout, { rows: 16, sequences: 1 });
  const elementBytes = 4;
  const bytes = cacheBytes(layout, device.profile, 16);
  expect(bytes).toBe(16 * 2 * 4 * elementBytes);
  expect(device.budget.inUseBytes - before).toBe(bytes);

  const places = new CachePlaces(device, cachedSequences([16]), [3]);
  const [made, first, second] = [1, 2, 4].map((block) =>
    cache.of(at(layout.blocks, block), places).cache(0),
  );
  expect(made?.keys).toBeDefined();
  for (const read of [first, second])
    expect([read?.keys === made?.keys, read?.values === made?.values]).toEqual([true, true]);
  places.dispose();
  cache.dispose();
  expect(device.liveTensors).toBe(0);
  await device.close();
});
