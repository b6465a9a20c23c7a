import { parseRoots } from './tenant-roots.js';

test('a tenant has the roots that are its own, and no others', () => {
  const roots = parseRoots(
    { a: { modelRoots: ['/models/a'], dataRoots: [] }, 'b/c': { dataRoots: ['/data'] } },
    'roots.json',
  );
  expect([...roots]).toEqual([
    ['a', { modelRoots: ['/models/a'], dataRoots: [] }],
    ['b/c', { dataRoots: ['/data'] }],
  ]);
});

test.each<[unknown, string]>([
  [[], 'roots.json: an object with the names of tenants is expected'],
  [{ a: ['/models'] }, 'roots.json: a: an object is expected'],
  [{ a: { roots: [] } }, 'roots.json: a: "roots" is neither modelRoots nor dataRoots'],
  [{ a: { modelRoots: '/models' } }, 'a: modelRoots must be a list of absolute paths'],
  [{ a: { dataRoots: ['data'] } }, 'a: dataRoots must be a list of absolute paths'],
])('%j is refused', (json, message) => {
  expect(() => parseRoots(json, 'roots.json')).toThrow(message);
});
