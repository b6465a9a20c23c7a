import { at, get } from '@emloc/checked';
import { Device, MemoryBudget, type Grid, type SequenceLayout, type Tensor } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import type {
  AdapterBinding,
  AdapterDropout,
  BlockBindings,
  LinearWeights,
} from '../src/bindings.js';
import { add } from '../src/operations/add.js';
import { attention } from '../src/operations/attention.js';
import { gatedActivation } from '../src/operations/gated-activation.js';
import { joinColumns } from '../src/operations/join-columns.js';
import { linear } from '../src/operations/linear.js';
import { rmsNorm } from '../src/operations/rms-norm.js';
import { rope } from '../src/operations/rope.js';
import { ProgramBuilder, type LinearSpec, type Program } from '../src/program.js';

const [width, inner, headDim] = [8, 12, 4];

/**
 * A pre-norm decoder block: grouped-query attention with rotation and biases, SwiGLU, two residual
 * sums.
 */
export function decoderBlock(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const project = (from: Value, name: string, outFeatures: number, bias = false): Value =>
    linear(block, from, { name, outFeatures, bias });
  const normed = rmsNorm(block, x, { weight: 'norm1', epsilon: 1e-5 });
  const q = rope(block, project(normed, 'q', 8, true), { table: 'rope', heads: 2 });
  const k = rope(block, project(normed, 'k', 4, true), { table: 'rope', heads: 1 });
  const v = project(normed, 'v', 4, true);
  const attended = attention(block, { q, k, v, heads: 2, kvHeads: 1, scale: 0.5 });
  const middle = add(block, x, project(attended, 'o', width));
  const normedMiddle = rmsNorm(block, middle, { weight: 'norm2', epsilon: 1e-5 });
  const gate = project(normedMiddle, 'gate', inner);
  const up = project(normedMiddle, 'up', inner);
  const gated = gatedActivation(block, { gate, up, kind: 'silu' });
  return block.build({ x: add(block, middle, project(gated, 'down', width)) });
}

/** Two linears in a row and nothing else. */
export function twoLinears(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const first = linear(block, x, { name: 'first', outFeatures: 6 });
  return block.build({
    x: linear(block, first, { name: 'second', outFeatures: width, bias: true }),
  });
}

/** Two linears side by side, their outputs joined for a third. */
export function joinedLinears(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const left = linear(block, x, { name: 'left', outFeatures: 3 });
  const right = linear(block, x, { name: 'right', outFeatures: 5 });
  const joined = joinColumns(block, [left, right]);
  return block.build({ x: linear(block, joined, { name: 'out', outFeatures: width }) });
}

/** Two attentions over the same keys, which are the values, too. */
export function sharedKeys(): Program {
  const block = new ProgramBuilder();
  const x = block.input('x', width, 'rows');
  const k = linear(block, x, { name: 'k', outFeatures: 4 });
  const attended = ['q1', 'q2'].map((name) => {
    const q = linear(block, x, { name, outFeatures: width });
    return attention(block, { q, k, v: k, heads: 2, kvHeads: 1, scale: 0.5 });
  });
  return block.build({ x: add(block, at(attended, 0), at(attended, 1)) });
}

type Value = ReturnType<ProgramBuilder['value']>;

/** Smooth values without symmetry. */
export function values(seed: number, size: number, scale = 0.5): Float32Array {
  return Float32Array.from(
    { length: size },
    (_, index) => scale * Math.sin(12.9898 * (index + 1) + 78.233 * seed + 0.1 * index * seed),
  );
}

export interface BlockOptions {
  readonly adapted: readonly string[];
  readonly lowRank?: readonly string[];
  /** Probability of dropout on what adapters see. Default: 0 */
  readonly dropout?: number;
  /** Whether adapters have magnitudes. Default: no */
  readonly dora?: boolean;
  /** Whether the factors of low rank hold the adapters. */
  readonly lent?: boolean;
  /** Offsets of row layouts that differ from `offsets`. */
  readonly layouts?: Readonly<Record<string, readonly number[]>>;
  /** The images that the sequences of a layout are. */
  readonly grids?: Readonly<Record<string, readonly Grid[]>>;
}

const offsets: readonly number[] = [0, 3, 4, 7];
export const rows = 7;
const rank = 2;
const factorRank = 3;
const adapterScale = 1.5;

/**
 * A block's weights and adapters on the CPU device; two adapters' worth of host values to perturb.
 */
export class BlockFixture {
  readonly device = new Device(createCpuBackend(), new MemoryBudget(2 ** 28));
  readonly host = new Map<string, Float32Array>();
  /** Streams of integers that the program reads. */
  readonly integerStreams = new Map<string, readonly number[]>();
  readonly #shapes = new Map<string, readonly number[]>();
  /** Norms of the rows of W + s · B A as the fixture begins, by linear. */
  readonly #norms = new Map<string, Float64Array>();
  readonly #owned: Tensor[] = [];

  constructor(
    readonly program: Program,
    readonly options: BlockOptions,
  ) {
    for (const [stream, value] of program.inputs)
      this.#define(stream, [options.layouts?.[value.rows]?.at(-1) ?? rows, value.width], 1);
    for (const { name, shape } of this.#others) this.#define(name, shape, 1);
    program.linears.forEach((linear, index) => this.#defineLinear(linear, 10 * (index + 1)));
  }

  /** The input streams on the device. */
  inputs(): ReadonlyMap<string, Tensor> {
    return new Map([...this.program.inputs.keys()].map((stream) => [stream, this.tensor(stream)]));
  }

  /** Parameters that belong to no linear. */
  get #others(): Program['parameters'] {
    const names = new Set(
      this.program.linears.flatMap(({ name }) => [`${name}.weight`, `${name}.bias`]),
    );
    return this.program.parameters.filter(({ name }) => !names.has(name));
  }

  /** Names of what is differentiated: the adapters' matrices and magnitudes. */
  get parameters(): readonly string[] {
    const parts = this.options.dora ? ['A', 'B', 'M'] : ['A', 'B'];
    return this.options.adapted.flatMap((name) => parts.map((part) => `${name}.${part}`));
  }

  /** Puts the present host values on the device. */
  bind(gradients: boolean): BlockBindings & { readonly gradients: ReadonlyMap<string, Tensor> } {
    const written = new Map<string, Tensor>();
    const sequences = new Map(
      Object.entries({ rows: offsets, ...this.options.layouts }).map(
        ([name, each]) =>
          [name, { ...this.#sequences(each), grids: this.options.grids?.[name] }] as const,
      ),
    );
    const angleTable = (values: Float32Array): Tensor => this.upload(values, [4, headDim / 2]);
    const angles = Array.from({ length: 4 * (headDim / 2) }, (_, index) => 0.3 * index);
    const table = {
      cos: angleTable(Float32Array.from(angles, Math.cos)),
      sin: angleTable(Float32Array.from(angles, Math.sin)),
    };
    const adapters = new Map(
      this.options.adapted.map((name) => [name, this.#adapter(name, gradients ? written : null)]),
    );
    const linears = new Map(
      this.program.linears.map((linear) => [linear.name, this.#weights(linear)]),
    );
    const norms = new Map(this.#others.map(({ name }) => [name, this.tensor(name)]));
    return {
      device: this.device,
      layout: (name) => get(sequences, name),
      integers: (stream) => this.#integers(get(this.integerStreams, stream)),
      rope: () => table,
      gradientScale: null,
      gradients: written,
      parameter: (name) => get(norms, name),
      linear: (name) => get(linears, name),
      adapter: (name) => adapters.get(name) ?? null,
      adapterDropout: (name) => this.#dropout(name),
    };
  }

  #dropout(name: string): AdapterDropout | null {
    const { dropout: probability = 0 } = this.options;
    if (probability === 0) return null;
    const stream = this.program.linears.findIndex((linear) => linear.name === name);
    return { probability, stream, key: this.#integers([11, -7]) };
  }

  tensor(name: string): Tensor {
    return this.upload(get(this.host, name), get(this.#shapes, name));
  }

  upload(source: Float32Array, shape: readonly number[]): Tensor {
    return this.#own(
      this.device.tensor(
        { bytes: new Uint8Array(source.slice().buffer), dtype: 'float32' },
        shape,
        'float32',
        'weights',
        'test',
      ),
    );
  }

  /**
   * Outputs of linears in a row whose weights are m ⊙ (W + s · B A) / ‖W + s · B A‖, in float64.
   */
  mergedOutputs(linears: readonly string[]): Float64Array {
    let x = Float64Array.from(get(this.host, 'x'));
    for (const name of linears) {
      const [w, a, b, m] = ['weight', 'A', 'B', 'M'].map((part) =>
        get(this.host, `${name}.${part}`),
      ) as [Float32Array, Float32Array, Float32Array, Float32Array];
      const [norms, bias] = [this.#normsOf(name), this.host.get(`${name}.bias`)];
      const [columns, outs] = [a.length / rank, m.length];
      const merged = w.map((value, index) => {
        const [row, column] = [Math.floor(index / columns), index % columns];
        let sum = value;
        for (let k = 0; k < rank; k += 1)
          sum += adapterScale * at(b, row * rank + k) * at(a, k * columns + column);
        return (sum * at(m, row)) / at(norms, row);
      });
      const input = x;
      x = Float64Array.from({ length: (input.length / columns) * outs }, (_, index) => {
        const [row, out] = [Math.floor(index / outs), index % outs];
        let sum = bias ? at(bias, out) : 0;
        for (let column = 0; column < columns; column += 1)
          sum += at(input, row * columns + column) * at(merged, out * columns + column);
        return sum;
      });
    }
    return x;
  }

  /** Frees what was bound; `liveTensors` counts only what the engine left. */
  release(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  /** Asserts that nothing is left on the device. */
  async close(): Promise<void> {
    this.release();
    expect(this.device.liveTensors).toBe(0);
    expect(this.device.budget.inUseBytes).toBe(cpuProfile.reserveBytes);
    await this.device.close();
  }

  #define(name: string, shape: readonly number[], seed: number): void {
    this.#shapes.set(name, shape);
    this.host.set(
      name,
      values(
        seed,
        shape.reduce((product, extent) => product * extent, 1),
      ),
    );
  }

  #defineLinear({ name, inFeatures, outFeatures, bias }: LinearSpec, seed: number): void {
    if (this.options.lowRank?.includes(name)) {
      this.#define(`${name}.u`, [outFeatures, factorRank], seed);
      this.#define(`${name}.v`, [factorRank, inFeatures], seed + 1);
    } else {
      this.#define(`${name}.weight`, [outFeatures, inFeatures], seed);
    }
    if (bias) this.#define(`${name}.bias`, [outFeatures], seed + 2);
    this.#define(`${name}.A`, [rank, inFeatures], seed + 3);
    this.#define(`${name}.B`, [outFeatures, rank], seed + 4);
    if (!this.options.dora) return;
    this.#define(`${name}.M`, [outFeatures], seed + 5);
    const norms = this.#normsOf(name);
    this.#norms.set(name, norms);
    // Near the norms, as they are in training.
    this.host.set(
      `${name}.M`,
      get(this.host, `${name}.M`).map((value, row) => (1 + value) * at(norms, row)),
    );
  }

  /** Of the present rows of W + s · B A. */
  #normsOf(name: string): Float64Array {
    const [w, a, b] = ['weight', 'A', 'B'].map((part) => get(this.host, `${name}.${part}`)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const columns = a.length / rank;
    return Float64Array.from({ length: b.length / rank }, (_, row) => {
      let sum = 0;
      for (let column = 0; column < columns; column += 1) {
        let value = at(w, row * columns + column);
        for (let k = 0; k < rank; k += 1)
          value += adapterScale * at(b, row * rank + k) * at(a, k * columns + column);
        sum += value * value;
      }
      return Math.sqrt(sum);
    });
  }

  /**
   * The magnitude as it is bound: by how much the norms differ from those at the beginning is
   * multiplied in, so that differences are those of norms that are constants.
   */
  #magnitude(name: string): Tensor | null {
    const start = this.#norms.get(name);
    if (!start) return null;
    const now = this.#normsOf(name);
    const values = get(this.host, `${name}.M`);
    const bound = values.map((value, row) => (value * at(now, row)) / at(start, row));
    return this.upload(bound, [bound.length]);
  }

  #weights(linear: LinearSpec): LinearWeights {
    const { name } = linear;
    const bias = linear.bias ? this.tensor(`${name}.bias`) : null;
    if (!this.options.lowRank?.includes(name))
      return { kind: 'dense', weight: this.tensor(`${name}.weight`), bias };
    if (this.options.lent) return { kind: 'lowRank', ...this.#lentFactors(linear), bias };
    return { kind: 'lowRank', u: this.tensor(`${name}.u`), v: this.tensor(`${name}.v`), bias };
  }

  /** [U, scale · B, 0] and [V; A; 0]. */
  #lentFactors({ name, inFeatures, outFeatures }: LinearSpec): {
    u: Tensor;
    v: Tensor;
    adapterAt: number;
  } {
    const [u, v, a, b] = ['u', 'v', 'A', 'B'].map((part) => get(this.host, `${name}.${part}`)) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const width = factorRank + rank + 1;
    const columns = Float32Array.from({ length: outFeatures * width }, (_, index) => {
      const [row, column] = [Math.floor(index / width), index % width];
      if (column < factorRank) return at(u, row * factorRank + column);
      return column < factorRank + rank
        ? adapterScale * at(b, row * rank + column - factorRank)
        : 0;
    });
    const rows = Float32Array.from([...v, ...a, ...new Float32Array(inFeatures)]);
    return {
      u: this.upload(columns, [outFeatures, width]),
      v: this.upload(rows, [width, inFeatures]),
      adapterAt: factorRank,
    };
  }

  #adapter(name: string, written: Map<string, Tensor> | null): AdapterBinding {
    const [a, b] = [this.tensor(`${name}.A`), this.tensor(`${name}.B`)];
    const binding = { rank, scale: adapterScale, a, b, magnitude: this.#magnitude(name) };
    if (!written) return { ...binding, gradients: null };
    const zeros = ({ size, shape }: Tensor) => this.upload(new Float32Array(size), shape);
    const magnitude = binding.magnitude && zeros(binding.magnitude);
    const gradients = { a: zeros(a), b: zeros(b), magnitude };
    written.set(`${name}.A`, gradients.a).set(`${name}.B`, gradients.b);
    if (magnitude) written.set(`${name}.M`, magnitude);
    return { ...binding, gradients };
  }

  #sequences(starts: readonly number[]): SequenceLayout {
    const lengths = starts.slice(1).map((end, index) => end - at(starts, index));
    const positions = lengths.flatMap((length) => Array.from({ length }, (_, row) => row));
    return {
      offsets: starts,
      deviceOffsets: this.#integers(starts),
      positions: this.#integers(positions),
      maxLength: Math.max(0, ...lengths),
    };
  }

  #integers(source: readonly number[]): Tensor {
    return this.#own(
      this.device.tensor(
        { bytes: new Uint8Array(Int32Array.from(source).buffer), dtype: 'int32' },
        [source.length],
        'int32',
        'activations',
        'test',
      ),
    );
  }

  #own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }
}
