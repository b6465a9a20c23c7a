import { chooseToClose } from './connections.js';

const held = (...owners: (string | null)[]) => owners.map((owner, age) => ({ owner, age }));

test.each<[string, (string | null)[], number | undefined]>([
  ['the oldest of who holds the most', ['a', 'b', 'b', null], 1],
  ['the oldest of nobody where nobody holds the most', ['a', null, null, 'b'], 1],
  ['nobody before a tenant with as many', ['a', 'b', null], 2],
  ['the only one', ['a'], 0],
  ['none of none', [], undefined],
])('what makes room: %s', (_, owners, age) => {
  expect(chooseToClose(held(...owners))?.age).toBe(age);
});
