import type { OuterProduct, Tensor } from '@emloc/device';

/** Products that need a value once, and the tensors that are held for them until then. */
export class Waiter implements Disposable {
  readonly #held: readonly Tensor[];

  constructor(
    held: readonly Tensor[],
    readonly productsOf: (tensor: Tensor) => readonly OuterProduct[],
  ) {
    this.#held = held.map((tensor) => tensor.retain());
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#held) tensor.dispose();
  }
}

/** What waits for one value. */
export class Waiters implements Disposable {
  readonly #waiters: Waiter[] = [];

  add(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  productsOf(tensor: Tensor): readonly OuterProduct[] {
    return this.#waiters.flatMap(({ productsOf }) => productsOf(tensor));
  }

  [Symbol.dispose](): void {
    for (const waiter of this.#waiters) waiter[Symbol.dispose]();
  }
}
