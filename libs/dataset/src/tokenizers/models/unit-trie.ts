const emptySlot = 0;

/** A trie of UTF-16 units, its edges in a hash table of typed arrays. */
export class UnitTrie {
  #nodes = 1;
  #edges = 0;
  #mask = 1023;
  #from = new Int32Array(1024);
  #unit = new Uint16Array(1024);
  #to = new Int32Array(1024);
  #values = new Int32Array(1024).fill(-1);

  /** Later values of the same text take the place of earlier ones. */
  add(text: string, value: number): void {
    let node = 1;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      node = this.next(node, unit) || this.#extend(node, unit);
    }
    this.#values[node] = value;
  }

  /** The root is 1; 0 where no text goes on like that. */
  next(node: number, unit: number): number {
    let slot = this.#slotOf(node, unit);
    while (this.#from[slot] !== emptySlot) {
      if (this.#from[slot] === node && this.#unit[slot] === unit) return this.#to[slot] as number;
      slot = (slot + 1) & this.#mask;
    }
    return 0;
  }

  /** Value of the text that ends at the node, -1 for none. */
  valueAt(node: number): number {
    return this.#values[node] as number;
  }

  #extend(node: number, unit: number): number {
    if (2 * this.#edges >= this.#mask) this.#grow();
    this.#nodes += 1;
    this.#edges += 1;
    if (this.#nodes >= this.#values.length) {
      const larger = new Int32Array(2 * this.#values.length).fill(-1);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#insert(node, unit, this.#nodes);
    return this.#nodes;
  }

  #insert(node: number, unit: number, to: number): void {
    let slot = this.#slotOf(node, unit);
    while (this.#from[slot] !== emptySlot) slot = (slot + 1) & this.#mask;
    this.#from[slot] = node;
    this.#unit[slot] = unit;
    this.#to[slot] = to;
  }

  #grow(): void {
    const [from, unit, to] = [this.#from, this.#unit, this.#to];
    const slots = 2 * from.length;
    this.#mask = slots - 1;
    this.#from = new Int32Array(slots);
    this.#unit = new Uint16Array(slots);
    this.#to = new Int32Array(slots);
    for (let slot = 0; slot < from.length; slot += 1)
      if (from[slot] !== emptySlot)
        this.#insert(from[slot] as number, unit[slot] as number, to[slot] as number);
  }

  #slotOf(node: number, unit: number): number {
    const hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }
}
