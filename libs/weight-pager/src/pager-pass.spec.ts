import { nothingLeft, openSmallPager } from '../test/small-pager.js';

test('layers that are all there are passed as accesses of the schedule', async () => {
  const { pager, use, leftovers } = openSmallPager(3, { slots: 3 });
  pager.schedule([0, 1, 2], 4);
  for (const layer of [0, 1, 2]) await use(layer);
  expect(pager.pass([0, 1, 2])).toBe(true);
  expect(() => pager.pass([1])).toThrow(expect.objectContaining({ code: 'PAGER_OUT_OF_SCHEDULE' }));
  for (const layer of [0, 1, 2]) await use(layer);
  expect(pager.statistics).toMatchObject({ acquisitions: 9, pageIns: 3 });
  expect(await leftovers()).toEqual(nothingLeft);
});

test.each([
  ['one of them has yet to come', { slots: 3, seen: [0, 1], prefetch: false }],
  ['not all fit', { slots: 2, seen: [0, 1, 2], prefetch: true }],
])('nothing is passed where %s', async (_, { slots, seen, prefetch }) => {
  const { pager, use, leftovers } = openSmallPager(3, { slots, prefetch });
  pager.schedule([0, 1, 2], 3);
  for (const layer of seen) await use(layer);
  const { acquisitions } = pager.statistics;
  expect(pager.pass([0, 1, 2])).toBe(false);
  expect(pager.statistics.acquisitions).toBe(acquisitions);
  if (seen.length < 3) await use(2);
  for (const layer of [0, 1, 2]) await use(layer);
  expect(await leftovers()).toEqual(nothingLeft);
});

test('nothing is passed where the schedule has other layers still to be loaded', async () => {
  const { pager, use, leftovers } = openSmallPager(3, { slots: 3, prefetch: false });
  pager.schedule([0, 1, 0, 1, 2]);
  for (const layer of [0, 1]) await use(layer);
  expect(pager.pass([0, 1])).toBe(false);
  for (const layer of [0, 1, 2]) await use(layer);
  expect(await leftovers()).toEqual(nothingLeft);
});

test.each([
  [3, true],
  [2, false],
])('with %d places for three layers it is %p that leases last', async (slots, isLasting) => {
  const { pager, leftovers } = openSmallPager(3, { slots });
  const lease = await pager.acquire(0);
  expect(lease.isLasting).toBe(isLasting);
  lease.release();
  expect(await leftovers()).toEqual(nothingLeft);
});
