/** Beyond ASCII, what Python takes for white space everywhere. */
const wideSpaces =
  '\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';
/** `str.isspace`: other than `\s` it has U+001C to U+001F and U+0085, and lacks U+FEFF. */
const space = `[\t\n\v\f\r\x1c\x1d\x1e\x1f ${wideSpaces}]`;
/** `float` does not skip U+001C to U+001F. */
const floatSpace = `[\t\n\v\f\r ${wideSpaces}]`;

const spaceRun = new RegExp(`${space}+`);
const outerSpaces = new RegExp(`^${space}+|${space}+$`, 'g');
const outerFloatSpaces = new RegExp(`^${floatSpace}+|${floatSpace}+$`, 'g');

const digits = String.raw`\d(?:_?\d)*`;
const finiteForm = new RegExp(
  String.raw`^[+-]?(?:${digits}(?:\.(?:${digits})?)?|\.${digits})(?:e[+-]?${digits})?$`,
  'i',
);
const specialForm = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i;

/** `text.split()` of Python. */
export function words(text: string): string[] {
  return text.split(spaceRun).filter((word) => word !== '');
}

/** `text.strip()` of Python. */
export function strip(text: string): string {
  return text.replace(outerSpaces, '');
}

/** The characters as Python counts them: code points. */
export function characters(text: string): string[] {
  return Array.from(text);
}

/**
 * `float(text)` of Python, null where that raises: takes decimal digits of any script, underscores
 * between digits, `inf` and `nan`; no separators of thousands, no units, no hexadecimal.
 */
export function parseFloatText(text: string): number | null {
  const plain = text.replace(outerFloatSpaces, '').replace(/\p{Nd}/gu, asciiDigit);
  if (finiteForm.test(plain)) return Number(plain.replaceAll('_', ''));
  const special = specialForm.exec(plain);
  if (special === null) return null;
  const [, sign, infinity] = special;
  if (infinity === undefined) return NaN;
  return sign === '-' ? -Infinity : Infinity;
}

/** Unicode has the decimal digits of a script in runs of ten, 0 to 9. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  let before = code - 1;
  while (/\p{Nd}/u.test(String.fromCodePoint(before))) before -= 1;
  return String((code - before - 1) % 10);
}
