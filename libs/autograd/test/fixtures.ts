import { at, get } from '@emloc/checked';
import { Device, MemoryBudget, type SequenceLayout, type Tensor } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import type { AdapterBinding, BlockBindings, LinearWeights } from '../src/bindings.js';
import { ProgramBuilder, type BlockProgram } from '../src/program.js';

export interface LinearShape {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

export interface BlockShape {
  readonly program: BlockProgram;
  readonly linears: readonly LinearShape[];
  readonly norms: readonly string[];
  readonly width: number;
  readonly headDim: number;
}

const [width, inner, headDim] = [8, 12, 4];

/**
 * A pre-norm decoder block: grouped-query attention with rotation and biases, SwiGLU, two residual
 * sums.
 */
export function decoderBlock(): BlockShape {
  const block = new ProgramBuilder(width);
  const x = block.input;
  const normed = block.rmsNorm(x, 'norm1', 1e-5);
  const q = block.rope(block.linear(normed, 'q', 8), 2);
  const k = block.rope(block.linear(normed, 'k', 4), 1);
  const attended = block.attention(q, k, block.linear(normed, 'v', 4), {
    heads: 2,
    kvHeads: 1,
    scale: 0.5,
  });
  const middle = block.add(x, block.linear(attended, 'o', width));
  const normedMiddle = block.rmsNorm(middle, 'norm2', 1e-5);
  const gated = block.swiglu(
    block.linear(normedMiddle, 'gate', inner),
    block.linear(normedMiddle, 'up', inner),
  );
  const program = block.build(block.add(middle, block.linear(gated, 'down', width)));
  const linear = (
    name: string,
    inFeatures: number,
    outFeatures: number,
    bias = false,
  ): LinearShape => ({ name, inFeatures, outFeatures, bias });
  return {
    program,
    width,
    headDim,
    norms: ['norm1', 'norm2'],
    linears: [
      linear('q', 8, 8, true),
      linear('k', 8, 4, true),
      linear('v', 8, 4, true),
      linear('o', 8, 8),
      linear('gate', 8, 12),
      linear('up', 8, 12),
      linear('down', 12, 8),
    ],
  };
}

/** Two linears in a row and nothing else. */
export function twoLinears(): BlockShape {
  const block = new ProgramBuilder(width);
  const program = block.build(block.linear(block.linear(block.input, 'first', 6), 'second', width));
  return {
    program,
    width,
    headDim,
    norms: [],
    linears: [
      { name: 'first', inFeatures: 8, outFeatures: 6, bias: false },
      { name: 'second', inFeatures: 6, outFeatures: 8, bias: true },
    ],
  };
}

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
  /** Whether the factors of low rank hold the adapters. */
  readonly lent?: boolean;
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
  readonly device = new Device(createCpuBackend(), new MemoryBudget(2 ** 26));
  readonly host = new Map<string, Float32Array>();
  readonly #shapes = new Map<string, readonly number[]>();
  readonly #owned: Tensor[] = [];

  constructor(
    readonly shape: BlockShape,
    readonly options: BlockOptions,
  ) {
    this.#define('x', [rows, shape.width], 1);
    for (const name of shape.norms) this.#define(name, [shape.width], 1);
    shape.linears.forEach((linear, index) => this.#defineLinear(linear, 10 * (index + 1)));
  }

  /** Names of what is differentiated: the adapters' matrices. */
  get parameters(): readonly string[] {
    return this.options.adapted.flatMap((name) => [`${name}.A`, `${name}.B`]);
  }

  /** Puts the present host values on the device. */
  bind(gradients: boolean): BlockBindings & { readonly gradients: ReadonlyMap<string, Tensor> } {
    const written = new Map<string, Tensor>();
    const sequences = this.#sequences();
    const table = (values: Float32Array): Tensor =>
      this.upload(values, [4, this.shape.headDim / 2]);
    const angles = Array.from({ length: 4 * (this.shape.headDim / 2) }, (_, index) => 0.3 * index);
    const rope = {
      cos: table(Float32Array.from(angles, Math.cos)),
      sin: table(Float32Array.from(angles, Math.sin)),
    };
    const adapters = new Map(
      this.options.adapted.map((name) => [name, this.#adapter(name, gradients ? written : null)]),
    );
    const linears = new Map(
      this.shape.linears.map((linear) => [linear.name, this.#weights(linear)]),
    );
    const norms = new Map(this.shape.norms.map((name) => [name, this.tensor(name)]));
    return {
      device: this.device,
      sequences,
      rope,
      gradients: written,
      parameter: (name) => get(norms, name),
      linear: (name) => get(linears, name),
      adapter: (name) => adapters.get(name) ?? null,
    };
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

  #defineLinear({ name, inFeatures, outFeatures, bias }: LinearShape, seed: number): void {
    if (this.options.lowRank?.includes(name)) {
      this.#define(`${name}.u`, [outFeatures, factorRank], seed);
      this.#define(`${name}.v`, [factorRank, inFeatures], seed + 1);
    } else {
      this.#define(`${name}.weight`, [outFeatures, inFeatures], seed);
    }
    if (bias) this.#define(`${name}.bias`, [outFeatures], seed + 2);
    this.#define(`${name}.A`, [rank, inFeatures], seed + 3);
    this.#define(`${name}.B`, [outFeatures, rank], seed + 4);
  }

  #weights(linear: LinearShape): LinearWeights {
    const { name } = linear;
    const bias = linear.bias ? this.tensor(`${name}.bias`) : null;
    if (!this.options.lowRank?.includes(name))
      return { kind: 'dense', weight: this.tensor(`${name}.weight`), bias };
    if (this.options.lent) return { kind: 'lowRank', ...this.#lentFactors(linear), bias };
    return { kind: 'lowRank', u: this.tensor(`${name}.u`), v: this.tensor(`${name}.v`), bias };
  }

  /** [U, scale · B, 0] and [V; A; 0]. */
  #lentFactors({ name, inFeatures, outFeatures }: LinearShape): {
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
    if (!written) return { rank, scale: adapterScale, a, b, gradients: null };
    const gradients = {
      a: this.upload(new Float32Array(a.size), a.shape),
      b: this.upload(new Float32Array(b.size), b.shape),
    };
    written.set(`${name}.A`, gradients.a).set(`${name}.B`, gradients.b);
    return { rank, scale: adapterScale, a, b, gradients };
  }

  #sequences(): SequenceLayout {
    const integers = (source: readonly number[]): Tensor =>
      this.#own(
        this.device.tensor(
          { bytes: new Uint8Array(Int32Array.from(source).buffer), dtype: 'int32' },
          [source.length],
          'int32',
          'activations',
          'test',
        ),
      );
    return {
      offsets,
      deviceOffsets: integers(offsets),
      positions: integers([0, 1, 2, 0, 0, 1, 2]),
      maxLength: 3,
    };
  }

  #own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }
}
