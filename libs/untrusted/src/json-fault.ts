/** Where a text stops being JSON, and why. */
export interface JsonFault {
  readonly position: number;
  readonly reason: string;
}

/** What may come next, in words. */
const expectations = {
  value: 'a value is expected',
  item: 'a value or the end of the list is expected',
  key: 'a key in double quotes is expected',
  entry: 'a key in double quotes or the end of the object is expected',
  colon: 'a colon is expected',
  comma: 'a comma or the end of a list or object is expected',
  nothing: 'nothing more is expected',
} as const;
type Expected = keyof typeof expectations;

type Token = '[' | ']' | '{' | '}' | ',' | ':' | 'string' | 'scalar';

const signs = '[]{},:';
const scalar = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)$/;
/** Longer ones are taken to be numbers: the expression is for short texts. */
const longScalar = 400;

/** The first fault of a text, null where it is JSON: in linear time, however deep it is nested. */
export function faultOf(text: string): JsonFault | null {
  const open: Token[] = [];
  let expected: Expected = 'value';
  let position = afterSpace(text, 0);
  while (position < text.length) {
    const [token, end] = tokenAt(text, position);
    const next: Expected | null = token && after(expected, token, open);
    if (!next)
      return {
        position,
        reason: token === null ? tokenFault(text, position) : expectations[expected],
      };
    expected = next;
    position = afterSpace(text, end);
  }
  if (expected === 'nothing') return null;
  return { position, reason: `it ends where ${expectations[expected]}` };
}

function after(expected: Expected, token: Token, open: Token[]): Expected | null {
  const closed = (): Expected => (open.length > 0 ? 'comma' : 'nothing');
  const close = (opening: Token): Expected | null => {
    if (open.pop() !== opening) return null;
    return closed();
  };
  if (token === ']' && (expected === 'item' || expected === 'comma')) return close('[');
  if (token === '}' && (expected === 'entry' || expected === 'comma')) return close('{');
  switch (expected) {
    case 'value':
    case 'item':
      if (token === '[' || token === '{') open.push(token);
      if (token === '[') return 'item';
      if (token === '{') return 'entry';
      return token === 'string' || token === 'scalar' ? closed() : null;
    case 'key':
    case 'entry':
      return token === 'string' ? 'colon' : null;
    case 'colon':
      return token === ':' ? 'value' : null;
    case 'comma':
      if (token !== ',') return null;
      return open.at(-1) === '[' ? 'value' : 'key';
    case 'nothing':
      return null;
  }
}

/** The token that begins at a position, and its end; null where none does. */
function tokenAt(text: string, position: number): readonly [Token | null, number] {
  const first = text.charAt(position);
  if (signs.includes(first)) return [first as Token, position + 1];
  if (first === '"') {
    const end = stringEnd(text, position);
    return end.isValid ? ['string', end.position] : [null, end.position];
  }
  let end = position;
  while (/[\w.+-]/.test(text.charAt(end))) end += 1;
  const isScalar = end - position > longScalar || scalar.test(text.slice(position, end));
  return [isScalar ? 'scalar' : null, end];
}

function tokenFault(text: string, position: number): string {
  if (text.charAt(position) !== '"') return 'this is no value of JSON';
  return 'this text has no end, a control character or an escape that JSON does not have';
}

function stringEnd(
  text: string,
  start: number,
): { readonly isValid: boolean; readonly position: number } {
  for (let at = start + 1; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) return { isValid: true, position: at + 1 };
    if (unit < 0x20) return { isValid: false, position: at };
    if (unit !== 0x5c) continue;
    const escape = /^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at + 1, at + 6));
    if (!escape) return { isValid: false, position: at };
    at += escape[0].length;
  }
  return { isValid: false, position: text.length };
}

function afterSpace(text: string, start: number): number {
  let at = start;
  while (' \t\r\n'.includes(text.charAt(at)) && at < text.length) at += 1;
  return at;
}
