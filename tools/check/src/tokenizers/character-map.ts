import { Buffer } from 'node:buffer';

/** One unit of a double array, by its place. */
type Units = Map<number, number>;

const leaf = 1 << 8;

/**
 * A table of replacements as SentencePiece writes it, in base64: a double array, then the texts.
 */
export function encodeCharacterMap(replacements: ReadonlyMap<string, string>): string {
  const texts: string[] = [];
  const entries = new Map<string, number>();
  let length = 0;
  for (const [from, to] of replacements) {
    entries.set(Buffer.from(from).toString('latin1'), length);
    texts.push(`${to}\0`);
    length += Buffer.byteLength(to) + 1;
  }
  const units: Units = new Map([[0, 0]]);
  place(units, 0, entries);
  // A label can lead anywhere within a block.
  const size = Math.ceil((Math.max(...units.keys()) + 1) / 256) * 256;
  const head = Buffer.alloc(4 + 4 * size);
  head.writeUInt32LE(4 * size, 0);
  for (const [at, unit] of units) head.writeUInt32LE(unit >>> 0, 4 + 4 * at);
  return Buffer.concat([head, Buffer.from(texts.join(''))]).toString('base64');
}

/** Gives the node at a place an offset under which its leaf and all its children are free. */
function place(units: Units, at: number, entries: ReadonlyMap<string, number>): void {
  const labels = [
    ...new Set([...entries.keys()].filter((k) => k !== '').map((k) => k.charCodeAt(0))),
  ];
  const value = entries.get('');
  const needed = [...labels, ...(value === undefined ? [] : [0])];
  let offset = 1;
  while (needed.some((label) => units.has(at ^ offset ^ label) || (at ^ offset ^ label) === at))
    offset += 1;
  units.set(at, (units.get(at) ?? 0) | (offset << 10) | (value === undefined ? 0 : leaf));
  if (value !== undefined) units.set(at ^ offset, value | 0x80000000);
  for (const label of labels) units.set(at ^ offset ^ label, label);
  for (const label of labels) {
    const below = [...entries].filter(([key]) => key.charCodeAt(0) === label && key !== '');
    place(units, at ^ offset ^ label, new Map(below.map(([key, v]) => [key.slice(1), v])));
  }
}
