import type { Operation } from './operations/operation.js';
import type { Value } from './value.js';

/** A tensor of a block by its name there, e.g. `input_layernorm.weight`. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** In checkpoints, where it is another one of as many elements. */
  readonly storedShape?: readonly number[];
  /** On the device. Default: the compute dtype. */
  readonly deviceDType?: 'float32';
}

/** A linear layer of a block, y = x Wᵀ (+ bias). */
export interface LinearSpec {
  /** Module path within the block, e.g. `self_attn.q_proj`. */
  readonly name: string;
  /** The first linear that reads the same input. */
  readonly group: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  /** Whether an adapter on it can be trained, and factors can stand in for its weight. */
  readonly isTrainable: boolean;
}

/** Keys and values that an attention can leave for later rows of its sequences. */
export interface CacheSpec {
  /** kvHeads · headDim */
  readonly width: number;
  /** Row layout of its sequences. */
  readonly rows: string;
  /** A cache that attentions of several blocks share; absent: it has one of its own. */
  readonly name?: string;
  /** Whether it leaves them, or only reads what another attention left. */
  readonly isWritten: boolean;
}

/** What an operation can leave of each sequence for later rows of it, whatever its length. */
export interface StateSpec {
  /** Elements of a sequence. */
  readonly width: number;
  /** 'compute' is the device's. */
  readonly dtype: 'compute' | 'float32';
  /** Row layout of its sequences. */
  readonly rows: string;
}

/** What the logits of a block become before the softmax: cap · tanh(factor · logit / cap). */
export interface LogitSpec {
  readonly vocabularySize: number;
  readonly factor: number;
  /** Null: the factor alone. */
  readonly softCap: number | null;
}

/**
 * A block of a model, written forward only: straight-line operations over values. It reads streams
 * and writes streams, by name; what it needs of a checkpoint it declares.
 */
export interface Program {
  readonly inputs: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
  readonly values: readonly Value[];
  readonly operations: readonly Operation[];
  /** All tensors, those of the linears among them. */
  readonly parameters: readonly ParameterSpec[];
  readonly linears: readonly LinearSpec[];
  /** Of every attention that looks back only. */
  readonly caches: readonly CacheSpec[];
  /** Of every operation that carries a state along its rows. */
  readonly states: readonly StateSpec[];
  /** Null where it ends in no loss over tokens. */
  readonly logits: LogitSpec | null;
}

/** A linear as an operation declares it. */
export interface LinearDeclaration {
  readonly name: string;
  readonly outFeatures: number;
  readonly bias?: boolean;
  /** Default: yes. */
  readonly isTrainable?: boolean;
}

/** Records a block's operations. Model code calls one function per operation, in order. */
export class ProgramBuilder {
  readonly #inputs = new Map<string, Value>();
  readonly #values: Value[] = [];
  readonly #operations: Operation[] = [];
  readonly #parameters = new Map<string, ParameterSpec>();
  readonly #linears: LinearSpec[] = [];
  readonly #caches: CacheSpec[] = [];
  readonly #states: StateSpec[] = [];
  #logits: LogitSpec | null = null;
  /** The first linear that reads a value. */
  readonly #groups = new Map<number, string>();

  /** A stream that the block reads. */
  input(stream: string, width: number, rows: string): Value {
    const value = this.value(width, rows);
    this.#inputs.set(stream, value);
    return value;
  }

  /** A value that an operation makes. */
  value(width: number, rows: string): Value {
    const value = Object.freeze({ id: this.#values.length, width, rows });
    this.#values.push(value);
    return value;
  }

  /** Declares a tensor of the block and gives its name. */
  parameter(
    name: string,
    shape: readonly number[],
    storedShape: readonly number[] = shape,
  ): string {
    if (elements(storedShape) !== elements(shape))
      throw new Error(`program: ${name} of [${shape.join()}] stored as [${storedShape.join()}]`);
    const stored = storedShape.join() === shape.join() ? {} : { storedShape: [...storedShape] };
    return this.#declare({ name, shape: Object.freeze([...shape]), ...stored });
  }

  /** Declares a tensor that is float32 on every device, and gives its name. */
  float32Parameter(name: string, shape: readonly number[]): string {
    return this.#declare({ name, shape: Object.freeze([...shape]), deviceDType: 'float32' });
  }

  /** Declares a linear that reads `x`, its weight and its bias. */
  linear(x: Value, declaration: LinearDeclaration): void {
    const { name, outFeatures, bias = false, isTrainable = true } = declaration;
    const group = this.#groups.get(x.id) ?? name;
    this.#groups.set(x.id, group);
    this.parameter(`${name}.weight`, [outFeatures, x.width]);
    if (bias) this.parameter(`${name}.bias`, [outFeatures]);
    const inFeatures = x.width;
    this.#linears.push(Object.freeze({ name, group, inFeatures, outFeatures, bias, isTrainable }));
  }

  /** Declares what an attention can leave for later rows, and gives its number. */
  cache(spec: CacheSpec): number {
    return this.#caches.push(Object.freeze(spec)) - 1;
  }

  /** Declares what an operation can leave of each sequence, and gives its number. */
  state(spec: StateSpec): number {
    return this.#states.push(Object.freeze(spec)) - 1;
  }

  /** Declares the logits that the block makes. */
  logits(spec: LogitSpec): void {
    this.#logits = Object.freeze(spec);
  }

  add(operation: Operation): void {
    this.#operations.push(Object.freeze(operation));
  }

  /** @param outputs the streams that the block writes; none where it ends in a loss */
  build(outputs: Readonly<Record<string, Value>>): Program {
    return Object.freeze({
      inputs: this.#inputs,
      outputs: new Map(Object.entries(outputs)),
      values: Object.freeze([...this.#values]),
      operations: Object.freeze([...this.#operations]),
      parameters: Object.freeze([...this.#parameters.values()]),
      linears: Object.freeze([...this.#linears]),
      caches: Object.freeze([...this.#caches]),
      states: Object.freeze([...this.#states]),
      logits: this.#logits,
    });
  }

  #declare(parameter: ParameterSpec): string {
    const { name } = parameter;
    if (this.#parameters.has(name)) throw new Error(`program: two parameters named ${name}`);
    this.#parameters.set(name, Object.freeze(parameter));
    return name;
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
