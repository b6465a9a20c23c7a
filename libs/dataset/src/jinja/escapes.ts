const simple: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

const hexLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The text that a string literal stands for, as Python's unicode-escape reads it. */
export function decodeEscapes(literal: string, fail: (reason: string) => never): string {
  if (!literal.includes('\\')) return literal;
  const ascii = toBackslashes(literal);
  return ascii.replace(
    /\\(?:([0-7]{1,3})|([xuU])([0-9a-fA-F]*)|([\s\S]?))/g,
    (whole, octal?: string, kind?: string, hex?: string, other?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (kind !== undefined) return decodeHex(kind, hex ?? '', fail);
      if (other === 'N') fail('named characters in strings are not supported');
      if (other === '' || other === undefined) fail('\\ at end of string');
      return simple[other] ?? whole;
    },
  );
}

/** Other characters than ASCII become escapes first, also behind a backslash. */
function toBackslashes(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (point) => {
    const code = point.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16)}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  });
}

function decodeHex(kind: string, hex: string, fail: (reason: string) => never): string {
  const length = hexLengths[kind] ?? 0;
  if (hex.length < length) fail(`truncated \\${kind}${'X'.repeat(length)} escape`);
  const code = Number.parseInt(hex.slice(0, length), 16);
  if (code > 0x10ffff) fail('illegal Unicode character');
  return String.fromCodePoint(code) + hex.slice(length);
}
