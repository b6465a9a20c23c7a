import { createPlaces } from './places.js';

test('no more than the places are taken, in turn, also after failures', async () => {
  const places = createPlaces(2);
  const started: number[] = [];
  let [working, most] = [0, 0];
  const work = (item: number) =>
    places(async () => {
      started.push(item);
      working += 1;
      most = Math.max(most, working);
      await new Promise((resolve) => setImmediate(resolve));
      working -= 1;
      if (item === 1) throw new Error('one failed');
      return item;
    });
  const results = await Promise.allSettled([0, 1, 2, 3, 4].map(work));
  expect(results.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect({ started, most, working }).toEqual({ started: [0, 1, 2, 3, 4], most: 2, working: 0 });
});
