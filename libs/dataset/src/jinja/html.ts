import { spaceRun } from './python-text.js';
import { unmarkedText, type Text } from './text-values.js';
import { type Runtime } from './values.js';

/** Named characters that texts use; others stay as they are written. */
const entities: Readonly<Record<string, string>> = {
  amp: '&',
  AMP: '&',
  lt: '<',
  LT: '<',
  gt: '>',
  GT: '>',
  quot: '"',
  QUOT: '"',
  apos: "'",
  nbsp: '\xa0',
  iexcl: '¡',
  cent: '¢',
  pound: '£',
  yen: '¥',
  sect: '§',
  uml: '¨',
  copy: '©',
  laquo: '«',
  not: '¬',
  shy: '\xad',
  reg: '®',
  deg: '°',
  plusmn: '±',
  sup2: '²',
  sup3: '³',
  acute: '´',
  micro: 'µ',
  para: '¶',
  middot: '·',
  raquo: '»',
  frac14: '¼',
  frac12: '½',
  frac34: '¾',
  iquest: '¿',
  times: '×',
  divide: '÷',
  szlig: 'ß',
  Auml: 'Ä',
  Ouml: 'Ö',
  Uuml: 'Ü',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  eacute: 'é',
  egrave: 'è',
  agrave: 'à',
  ccedil: 'ç',
  ntilde: 'ñ',
  euro: '€',
  hellip: '…',
  ndash: '–',
  mdash: '—',
  lsquo: '‘',
  rsquo: '’',
  sbquo: '‚',
  ldquo: '“',
  rdquo: '”',
  bdquo: '„',
  bull: '•',
  trade: '™',
  larr: '←',
  uarr: '↑',
  rarr: '→',
  darr: '↓',
};

/** As `html.unescape`. */
export function unescapeEntities(value: Text): string {
  const text = unmarkedText(value, 'unescape');
  return text.replace(/&(?:#(\d+);?|#[xX]([0-9a-fA-F]+);?|([A-Za-z][A-Za-z0-9]*);)/g, unescapeOne);
}

function unescapeOne(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return Object.hasOwn(entities, name) ? (entities[name] ?? whole) : whole;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd';
  if (code < 0x20 && ![9, 10, 12, 13].includes(code)) return '';
  return String.fromCodePoint(code);
}

/** As `Markup.striptags`. */
export function stripTags(runtime: Runtime, value: Text): string {
  const text = unmarkedText(value, 'striptags');
  runtime.budget.text(text.length);
  const bare = removeBetween(removeBetween(text, '<!--', '-->'), '<', '>');
  return unescapeEntities(bare.replace(spaceRun, ' ').replace(/^ | $/g, ''));
}

/** What begins without an end stays. */
function removeBetween(text: string, open: string, close: string): string {
  let out = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    const end = start === -1 ? -1 : text.indexOf(close, start);
    if (end === -1) return out + text.slice(at);
    out += text.slice(at, start);
    at = end + close.length;
  }
}

/** For `quote_from_bytes`: letters, digits and `_.-~` stay. */
export function quoteUrl(text: string, isQuery: boolean): string {
  const bytes = new TextEncoder().encode(text);
  const quoted = Array.from(bytes, (byte) => quoteByte(byte, isQuery)).join('');
  return isQuery ? quoted.replaceAll('%20', '+') : quoted;
}

function quoteByte(byte: number, isQuery: boolean): string {
  const unit = String.fromCharCode(byte);
  if (/[A-Za-z0-9_.~-]/.test(unit) || (unit === '/' && !isQuery)) return unit;
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
