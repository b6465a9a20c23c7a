/**
 * The first key that stands twice in one object of a JSON text, or null. `JSON.parse` keeps the
 * last of them silently, and two readers of a file with duplicates may see different tensors. The
 * text must be valid JSON.
 */
export function duplicateKey(json: string): string | null {
  const objects: (Set<string> | null)[] = [];
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (character === '{') objects.push(new Set());
    else if (character === '[') objects.push(null);
    else if (character === '}' || character === ']') objects.pop();
    else if (character === '"') {
      const end = stringEnd(json, at);
      if (isKey(json, end)) {
        const key: unknown = JSON.parse(json.slice(at, end));
        const seen = objects.at(-1);
        if (typeof key === 'string' && seen) {
          if (seen.has(key)) return key;
          seen.add(key);
        }
      }
      at = end - 1;
    }
  }
  return null;
}

/** Index after the closing quote of the string that starts at `start`. */
export function stringEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isKey(json: string, afterString: number): boolean {
  let at = afterString;
  while (at < json.length && /\s/.test(json.charAt(at))) at += 1;
  return json[at] === ':';
}
