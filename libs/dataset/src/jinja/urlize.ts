import { codePoints } from './python-text.js';
import { escapeText } from './text-values.js';

interface LinkOptions {
  /** Longest text of a link that is shown. */
  readonly limit: number | undefined;
  readonly rel: string;
  readonly target: string;
  /** Further beginnings of links. */
  readonly schemes: readonly string[];
}

const W = '[\\p{L}\\p{N}_]';
const link = new RegExp(
  '^(?:' +
    `(?:https?://|www\\.)(?:(?:(?:${W}|[%-])+\\.)+)?(?:[a-z]{2,63}|xn--(?:${W}|%){2,59})` +
    `|(?:(?:${W}|[%-]){2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)` +
    '|https?://(?:\\d{1,3}(?:\\.\\d{1,3}){3}|\\[(?:[\\da-f]{0,4}:){2}(?:[\\da-f]{0,4}:?){1,6}\\])' +
    ')(?::\\d{1,5})?(?:[/?#]\\S*)?$',
  'iu',
);
const mail = new RegExp(`^\\S+@${W}(?:${W}|[.-])*\\.${W}+$`, 'u');

/** Makes links of addresses in an escaped text. */
export function urlize(text: string, options: LinkOptions): string {
  return text
    .split(/(\s+)/)
    .map((word) => linkWord(word, options))
    .join('');
}

function linkWord(word: string, options: LinkOptions): string {
  const head = /^(?:[(<]|&lt;)+/.exec(word)?.[0] ?? '';
  const bare = word.slice(head.length);
  const end = /(?:[)>.,\n]|&gt;)+$/.exec(bare)?.[0] ?? '';
  const { middle, tail } = balance(bare.slice(0, bare.length - end.length), end);
  return head + toLink(middle, options) + tail;
}

const pairs: readonly [string, string][] = [
  ['(', ')'],
  ['<', '>'],
  ['&lt;', '&gt;'],
];

/** Closing brackets belong to the address where it has the opening ones. */
function balance(start: string, end: string): { middle: string; tail: string } {
  let [middle, tail] = [start, end];
  for (const [open, close] of pairs) {
    const opened = middle.split(open).length - 1;
    if (opened <= middle.split(close).length - 1) continue;
    const moves = Math.min(opened, tail.split(close).length - 1);
    for (let i = 0; i < moves; i++) {
      const at = tail.indexOf(close) + close.length;
      middle += tail.slice(0, at);
      tail = tail.slice(at);
    }
  }
  return { middle, tail };
}

function toLink(text: string, options: LinkOptions): string {
  const { limit, rel, target, schemes } = options;
  const points = codePoints(text);
  const shown =
    limit !== undefined && points.length > limit ? `${points.slice(0, limit).join('')}...` : text;
  const attributes =
    (rel === '' ? '' : ` rel="${escapeText(rel)}"`) +
    (target === '' ? '' : ` target="${escapeText(target)}"`);
  if (link.test(text)) {
    const address = /^https?:\/\//.test(text) ? text : `https://${text}`;
    return `<a href="${address}"${attributes}>${shown}</a>`;
  }
  if (text.startsWith('mailto:') && mail.test(text.slice(7)))
    return `<a href="${text}">${text.slice(7)}</a>`;
  if (isMail(text)) return `<a href="mailto:${text}">${text}</a>`;
  if (schemes.some((scheme) => text !== scheme && text.startsWith(scheme)))
    return `<a href="${text}"${attributes}>${text}</a>`;
  return text;
}

function isMail(text: string): boolean {
  return !text.startsWith('www.') && !/^@|:/.test(text) && text.includes('@') && mail.test(text);
}
