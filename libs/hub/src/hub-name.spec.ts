import { hubNameText, parseHubName } from './hub-name.js';

describe('a hub name', () => {
  it.each([
    ['Qwen/Qwen3-8B', 'Qwen/Qwen3-8B', null],
    ['a.b/c_d.1@main', 'a.b/c_d.1', 'main'],
    ['a/b@v1.0+cpu', 'a/b', 'v1.0+cpu'],
    ['a/b@refs/pr/12', 'a/b', 'refs/pr/12'],
    [`a/b@${'0a'.repeat(20)}`, 'a/b', '0a'.repeat(20)],
  ])('is read from %s', (text, name, revision) => {
    expect(parseHubName(text)).toEqual({ name, revision });
    expect(hubNameText({ name, revision })).toBe(text);
  });

  it.each([
    '',
    'gpt2',
    'a/b/c',
    './a',
    '../a',
    '/a/b',
    '~/a',
    'a/',
    '/a',
    'a\\b',
    'a b/c',
    'a/b--c',
    'a/b..c',
    'C:/a',
    'a/.b',
    `a/${'b'.repeat(100)}`,
  ])('is not what %j is', (text) => {
    expect(parseHubName(text)).toBeNull();
  });

  it.each([
    'a/b@',
    'a/b@../c',
    'a/b@/c',
    'a/b@c//d',
    'a/b@c/../d',
    'a/b@c d',
    'a/b@c\\d',
    'a/b@.c',
  ])('with a revision that cannot be is refused: %s', (text) => {
    expect(() => parseHubName(text)).toThrow(
      expect.objectContaining({ code: 'HUB_OPTION_INVALID' }) as Error,
    );
  });
});
