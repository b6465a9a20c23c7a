import type { Operation } from './operations/operation.js';
import type { Value } from './value.js';

/**
 * A block of a model, written forward only: straight-line operations over values, weights by name.
 */
export interface BlockProgram {
  readonly input: Value;
  readonly output: Value;
  readonly values: readonly Value[];
  readonly operations: readonly Operation[];
}

/** Records a block's operations. Model code calls one method per operation, in order. */
export class ProgramBuilder {
  readonly #values: Value[] = [];
  readonly #operations: Operation[] = [];
  readonly input: Value;

  constructor(width: number) {
    this.input = this.#value(width);
  }

  rmsNorm(x: Value, weight: string, epsilon: number): Value {
    const out = this.#value(x.width);
    this.#operations.push({ kind: 'rmsNorm', x, out, weight, epsilon });
    return out;
  }

  /** y = x Wᵀ (+ bias); `name` is the module path within the block, e.g. `self_attn.q_proj`. */
  linear(x: Value, name: string, outFeatures: number): Value {
    const out = this.#value(outFeatures);
    this.#operations.push({ kind: 'linear', x, out, name });
    return out;
  }

  rope(x: Value, heads: number): Value {
    const out = this.#value(x.width);
    this.#operations.push({ kind: 'rope', x, out, heads });
    return out;
  }

  attention(
    q: Value,
    k: Value,
    v: Value,
    shape: { heads: number; kvHeads: number; scale: number },
  ): Value {
    const out = this.#value(q.width);
    this.#operations.push({ kind: 'attention', q, k, v, out, ...shape });
    return out;
  }

  swiglu(gate: Value, up: Value): Value {
    const out = this.#value(gate.width);
    this.#operations.push({ kind: 'swiglu', gate, up, out });
    return out;
  }

  add(a: Value, b: Value): Value {
    const out = this.#value(a.width);
    this.#operations.push({ kind: 'add', a, b, out });
    return out;
  }

  build(output: Value): BlockProgram {
    return Object.freeze({
      input: this.input,
      output,
      values: Object.freeze([...this.#values]),
      operations: Object.freeze([...this.#operations]),
    });
  }

  #value(width: number): Value {
    const value = Object.freeze({ id: this.#values.length, width });
    this.#values.push(value);
    return value;
  }
}
