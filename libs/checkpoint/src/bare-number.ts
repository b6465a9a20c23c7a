/** Strings, which may hold anything, or a number that Python's json writes and JSON has not. */
const tokens = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gs;

/**
 * The first NaN or infinity that stands in a text which is JSON but for them, and the key that it
 * stands under; null where there is none.
 */
export function bareNumber(json: string): { readonly key: string; readonly value: string } | null {
  let key = '';
  for (const { 0: token, index } of json.matchAll(tokens)) {
    if (!token.startsWith('"')) return { key, value: token };
    if (/^\s*:/.test(json.slice(index + token.length, index + token.length + 16)))
      key = token.slice(1, -1);
  }
  return null;
}
