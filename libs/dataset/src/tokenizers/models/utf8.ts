/** How many bytes a code point takes. A lone surrogate counts as the sign that replaces it. */
export function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

/** Turns places in the bytes of a text into places in its UTF-16 units; asked for in order. */
export class ByteCursor {
  #byte = 0;
  #unit = 0;

  constructor(private readonly text: string) {}

  /**
   * First unit of the character that the byte belongs to; the end of the text where it is beyond.
   */
  unitOf(byte: number): number {
    this.#advance(byte);
    return this.#unit;
  }

  /** The unit after the character that the byte belongs to. */
  unitAfter(byte: number): number {
    this.#advance(byte);
    return Math.min(this.text.length, this.#unit + this.#units());
  }

  #units(): number {
    return (this.text.codePointAt(this.#unit) ?? 0) > 0xffff ? 2 : 1;
  }

  #advance(byte: number): void {
    if (byte < this.#byte) this.#byte = this.#unit = 0;
    while (this.#unit < this.text.length) {
      const point = this.text.codePointAt(this.#unit) ?? 0;
      const next = this.#byte + utf8Length(point);
      if (next > byte) return;
      this.#byte = next;
      this.#unit += point > 0xffff ? 2 : 1;
    }
  }
}
