import { maxPageBytes, pageOf, type PageRequest } from './pages.js';

const request: PageRequest = {
  pageSize: 2,
  pageToken: '',
  standard: 3,
  most: 4,
  query: 'q',
  order: 'descending',
};
const page = (keys: readonly string[], changes: Partial<PageRequest> = {}) =>
  pageOf(keys, (key) => key, { ...request, ...changes });

test('pages fit together, whatever comes and goes between them', () => {
  const first = page(['e', 'd', 'c', 'b', 'a']);
  expect(first.items).toEqual(['e', 'd']);
  expect(page(['f', 'e', 'c', 'b', 'a'], { pageToken: first.nextPageToken }).items).toEqual([
    'c',
    'b',
  ]);
  expect(page(['c'], { pageToken: first.nextPageToken })).toEqual({
    items: ['c'],
    nextPageToken: '',
  });
  const ascending = page(['a', 'b', 'c'], { order: 'ascending' });
  expect(
    page(['a', 'b', 'c'], { order: 'ascending', pageToken: ascending.nextPageToken }).items,
  ).toEqual(['c']);
});

test('the size has a default and a limit', () => {
  const keys = ['f', 'e', 'd', 'c', 'b', 'a'];
  expect(page(keys, { pageSize: 0 }).items).toHaveLength(3);
  expect(page(keys, { pageSize: 100 }).items).toHaveLength(4);
  expect(page(keys, { pageSize: 4 }).nextPageToken).not.toBe('');
});

test('a token of another list, or of none, is refused', () => {
  const { nextPageToken } = page(['c', 'b', 'a']);
  for (const changes of [
    { pageToken: nextPageToken, query: 'other' },
    { pageToken: 'x' },
    { pageToken: Buffer.from('[1, 2]').toString('base64url') },
    { pageSize: -1 },
  ]) {
    expect(() => page(['c', 'b', 'a'], changes)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  }
});

test('a page ends before it is too large, with at least one item', () => {
  const sizes: Readonly<Record<string, number>> = {
    c: maxPageBytes - 1,
    b: 2,
    a: 2 * maxPageBytes,
  };
  const pageAfter = (pageToken: string) =>
    pageOf(
      ['c', 'b', 'a'],
      (key) => key,
      { ...request, pageSize: 3, pageToken },
      (key) => sizes[key] ?? 0,
    );
  const first = pageAfter('');
  const second = pageAfter(first.nextPageToken);
  const third = pageAfter(second.nextPageToken);
  expect([first.items, second.items, third.items]).toEqual([['c'], ['b'], ['a']]);
  expect(third.nextPageToken).toBe('');
});
