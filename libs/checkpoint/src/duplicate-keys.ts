/**
 * The first key that stands twice in one object of a JSON text, or null. `JSON.parse` keeps the
 * last of them silently, and two readers of a file with duplicates may see different tensors. The
 * text must be valid JSON.
 */
export function duplicateKey(json: string): string | null {
  const objects: (Set<string> | null)[] = [];
  for (let at = 0; at < json.length; at += 1) {
    switch (json.charCodeAt(at)) {
      case openBrace:
        objects.push(new Set());
        break;
      case openBracket:
        objects.push(null);
        break;
      case closeBrace:
      case closeBracket:
        objects.pop();
        break;
      case quote: {
        const end = stringEnd(json, at);
        const seen = objects.at(-1);
        if (seen && isKey(json, end)) {
          const key = textOf(json.slice(at, end));
          if (seen.has(key)) return key;
          seen.add(key);
        }
        at = end - 1;
      }
    }
  }
  return null;
}

const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Index after the closing quote of the string that starts at `start`. */
export function stringEnd(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(end - 1 - backslashes) === backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
  return json.length + 1;
}

/** Of a string as it is written. */
function textOf(written: string): string {
  return written.includes('\\') ? (JSON.parse(written) as string) : written.slice(1, -1);
}

function isKey(json: string, afterString: number): boolean {
  let at = afterString;
  while (isSpace(json.charCodeAt(at))) at += 1;
  return json.charCodeAt(at) === colon;
}

/** As JSON has it. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
