import { stringEnd } from './duplicate-keys.js';

/**
 * The first NaN or infinity that stands in a text which is JSON but for them, and the key that it
 * stands under; null where there is none.
 */
export function bareNumber(json: string): { readonly key: string; readonly value: string } | null {
  let key = '';
  for (let at = 0; at < json.length; at += 1) {
    const character = json.charAt(at);
    if (character === '"') {
      const end = stringEnd(json, at);
      if (/^\s*:/.test(json.slice(end, end + 16))) key = json.slice(at + 1, end - 1);
      at = end - 1;
    } else if ('-IN'.includes(character)) {
      const value = /^(-?Infinity|NaN)\b/.exec(json.slice(at, at + 10))?.[0];
      if (value !== undefined) return { key, value };
    }
  }
  return null;
}
