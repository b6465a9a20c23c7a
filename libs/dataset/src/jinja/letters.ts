import { at } from '@emloc/checked';

/** Case and classes of code points, where Python and JavaScript differ. */

const cased = /\p{Cased}/u;
const upper = /\p{Uppercase}/u;
const lower = /\p{Lowercase}/u;
const titlecase = /\p{Lt}/u;
const letter = /\p{L}/u;
const decimal = /\p{Nd}/u;
const numeric = /\p{N}/u;
const identifier = /^[\p{XID_Start}_]\p{XID_Continue}*$/u;

/** Numeric_Type=Digit without decimal digits: superscripts, circled digits … */
const otherDigit =
  /[\xb2\xb3\xb9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]/u;

/** Ideographs that stand for numbers. */
const numberIdeograph =
  /[\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e07\u4e09\u4e5d\u4e8c\u4e94\u4e96\u4ebf\u4ec0\u4edf\u4ee8\u4f0d\u4f70\u5104\u5146\u5169\u516b\u516d\u5341\u5343-\u5345\u534c\u53c1-\u53c4\u56db\u58f1\u58f9\u5e7a\u5efe\u5eff\u5f0c-\u5f0e\u5f10\u62fe\u634c\u67d2\u6f06\u7396\u767e\u8086\u842c\u8cae\u8cb3\u8d30\u9621\u9646\u964c\u9678\u96f6\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\u{20001}\u{20064}\u{200e2}\u{20121}\u{2092a}\u{20983}\u{2098c}\u{2099c}\u{20aea}\u{20afd}\u{20b19}\u{22390}\u{22998}\u{23b1b}\u{2626d}\u{2f890}]/u;

export function isAlpha(point: string): boolean {
  return letter.test(point);
}

export function isDecimal(point: string): boolean {
  return decimal.test(point);
}

export function isDigit(point: string): boolean {
  return decimal.test(point) || otherDigit.test(point);
}

export function isNumeric(point: string): boolean {
  return numeric.test(point) || numberIdeograph.test(point);
}

export function isAlnum(point: string): boolean {
  return letter.test(point) || numeric.test(point);
}

export function isIdentifier(text: string): boolean {
  return identifier.test(text);
}

export function isUpper(text: string): boolean {
  return upper.test(text) && !lower.test(text) && !titlecase.test(text);
}

export function isLower(text: string): boolean {
  return lower.test(text) && !upper.test(text) && !titlecase.test(text);
}

/** Each word begins with a capital and goes on in small letters. */
export function isTitle(text: string): boolean {
  let isAfterCased = false;
  let found = false;
  for (const point of text) {
    const isCapital = upper.test(point) || titlecase.test(point);
    if (isCapital ? isAfterCased : lower.test(point) && !isAfterCased) return false;
    isAfterCased = isCapital || lower.test(point);
    found ||= isAfterCased;
  }
  return found;
}

/** What title case makes of code points that it does not simply capitalise. */
const titles = new Map<number, string>([
  [0x149, '\u02bcN'],
  ...[0x1c4, 0x1c7, 0x1ca, 0x1f1].flatMap((code) => digraph(code)),
  [0x1fb2, '\u1fba\u0345'],
  [0x1fb4, '\u0386\u0345'],
  [0x1fb7, '\u1fbc\u0342'],
  [0x1fc2, '\u1fca\u0345'],
  [0x1fc4, '\u0389\u0345'],
  [0x1fc7, '\u1fcc\u0342'],
  [0x1ff2, '\u1ffa\u0345'],
  [0x1ff4, '\u038f\u0345'],
  [0x1ff7, '\u1ffc\u0342'],
  [0x1fb3, '\u1fbc'],
  [0x1fbc, '\u1fbc'],
  [0x1fc3, '\u1fcc'],
  [0x1fcc, '\u1fcc'],
  [0x1ff3, '\u1ffc'],
  [0x1ffc, '\u1ffc'],
]);

function digraph(first: number): [number, string][] {
  const title = String.fromCodePoint(first + 1);
  return [first, first + 1, first + 2].map((code) => [code, title]);
}

function titleOf(point: string): string {
  const code = point.codePointAt(0) ?? 0;
  if (code < 0x80) return point.toUpperCase();
  const known = titles.get(code);
  if (known !== undefined) return known;
  // Georgian has capitals for whole words only.
  if (code >= 0x10d0 && code <= 0x10ff) return point;
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  const upper = point.toUpperCase();
  const first = at(Array.from(upper), 0);
  return first + upper.slice(first.length).toLowerCase();
}

export function toCapitalized(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  if (text === '') return '';
  // The whole is lowered, so that a final sigma sees what stands before it.
  return titleOf(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

export function toTitle(text: string): string {
  const lowered = text.toLowerCase();
  let isAfterCased = false;
  let out = '';
  let at = 0;
  for (const point of text) {
    const small = lowered.slice(at, at + point.toLowerCase().length);
    at += small.length;
    out += isAfterCased ? small : titleOf(point);
    isAfterCased = cased.test(point);
  }
  return out;
}

export function swapcase(text: string): string {
  const lowered = text.toLowerCase();
  let out = '';
  let at = 0;
  for (const point of text) {
    const small = lowered.slice(at, at + point.toLowerCase().length);
    at += small.length;
    out += upper.test(point) ? small : lower.test(point) ? point.toUpperCase() : point;
  }
  return out;
}

/** Full case folding. */
export function casefold(text: string): string {
  return Array.from(text, foldPoint).join('');
}

function foldPoint(point: string): string {
  const code = point.codePointAt(0) ?? 0;
  if (code === 0x131) return point;
  if (code === 0x1e9e) return 'ss';
  // Cherokee folds to its capitals.
  if ((code >= 0x13a0 && code <= 0x13fd) || (code >= 0xab70 && code <= 0xabbf))
    return point.toUpperCase();
  return Array.from(point.toUpperCase(), (unit) => unit.toLowerCase()).join('');
}
