import { Buffer } from 'node:buffer';
import { at } from '@emloc/checked';

/** Bytes that stand for themselves; the others follow from U+0100 on, in order. */
function isPrintable(byte: number): boolean {
  return (
    (byte >= 0x21 && byte <= 0x7e) ||
    (byte >= 0xa1 && byte <= 0xac) ||
    (byte >= 0xae && byte <= 0xff)
  );
}

/** The character by which byte-level vocabularies write each byte. */
export const byteCharacters: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
})();

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  byteCharacters.map((character, byte) => [character, byte]),
);

/** The bytes of a text, each as its character. */
export function toByteCharacters(text: string): string {
  let characters = '';
  for (const byte of Buffer.from(text)) characters += at(byteCharacters, byte);
  return characters;
}

/**
 * Bytes that the characters stand for; where one of them stands for none, those of the text
 * itself.
 */
export function fromByteCharacters(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (const character of text) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return Buffer.from(text);
    bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}
