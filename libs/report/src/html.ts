import { at, get } from '@emloc/checked';

/** Text of a page in which everything that was put in is escaped. */
export class Html {
  constructor(readonly text: string) {}
}

type Part = Html | string | number | null | readonly Part[];

/** Markup as it stands between values, which are text whatever they hold, in attributes too. */
export function html(markup: TemplateStringsArray, ...values: readonly Part[]): Html {
  const parts = markup.map((piece, index) =>
    index < values.length ? piece + textOf(at(values, index)) : piece,
  );
  return new Html(parts.join(''));
}

function textOf(value: Part): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(textOf).join('');
  return escaped(String(value));
}

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/**
 * Characters that are obeyed instead of shown: C0 but tab and line feed, DEL, C1, those that change
 * the direction of text or have no width, and halves of surrogate pairs.
 */
const obeyed =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g; // eslint-disable-line no-control-regex -- they are what it is for

/** A text of others in a page, or between the quotes of an attribute. */
function escaped(text: string): string {
  return text
    .replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/[&<>"']/g, (character) => get(entities, character));
}
