import { hasRelaxedSimd } from '../test/relaxed-simd.js';
import type { Elements, ProductOptions } from './linear-algebra.js';
import { productScratchBytes } from './portable/blocks.js';
import { PortableLinearAlgebra } from './portable/portable-linear-algebra.js';
import { Scratch } from './scratch.js';
import { instantiateKernels } from './wasm.js';

const sides = hasRelaxedSimd ? [false, true] : [false];
if (!hasRelaxedSimd)
  test.skip('products with relaxed SIMD: this engine or processor has none', () => undefined);

type ArrayType = Float32ArrayConstructor | Float64ArrayConstructor;

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  readonly accumulate?: boolean;
  /** Elements between rows that belong to nobody. */
  readonly gap?: number;
}

function waves(type: ArrayType, count: number, seed: number): Elements {
  return new type(Array.from({ length: count }, (_, i) => Math.sin(seed + 0.37 * i * i)));
}

function problem(
  type: ArrayType,
  { m, n, k, transposeA, transposeB, alpha = 1, accumulate = false, gap = 0 }: Case,
): ProductOptions<Elements> {
  const matrix = (rows: number, columns: number, seed: number) => ({
    data: waves(type, rows * (columns + gap), seed),
    stride: columns + gap,
  });
  return {
    ...{ m, n, k, transposeA, transposeB, alpha, accumulate },
    a: transposeA ? matrix(k, m, 1) : matrix(m, k, 1),
    b: transposeB ? matrix(n, k, 2) : matrix(k, n, 2),
    out: matrix(m, n, 3),
  };
}

/** What out should be, computed in float64, its gaps as they are. */
function expected({ m, n, k, a, b, out, ...options }: ProductOptions<Elements>): number[] {
  const values = Array.from(out.data);
  const [aStep, aInner] = options.transposeA ? [1, a.stride] : [a.stride, 1];
  const [bStep, bInner] = options.transposeB ? [b.stride, 1] : [1, b.stride];
  for (let i = 0; i < m; i += 1)
    for (let j = 0; j < n; j += 1) {
      let sum = 0;
      for (let l = 0; l < k; l += 1)
        sum +=
          (a.data[i * aStep + l * aInner] as number) * (b.data[j * bStep + l * bInner] as number);
      const place = i * out.stride + j;
      values[place] = (options.accumulate ? (values[place] as number) : 0) + options.alpha * sum;
    }
  return values;
}

function openProducts(relaxed: boolean) {
  const wasm = instantiateKernels(relaxed);
  const scratch = new Scratch(wasm);
  const linearAlgebra = new PortableLinearAlgebra(wasm, scratch);
  const multiply = (options: ProductOptions<Elements>): Elements => {
    const isDouble = options.out.data instanceof Float64Array;
    const bytes = productScratchBytes(options.m, options.n, options.k, isDouble ? 8 : 4);
    scratch.run(bytes, () =>
      isDouble
        ? linearAlgebra.dgemm(options as ProductOptions<Float64Array>)
        : linearAlgebra.sgemm(options as ProductOptions<Float32Array>),
    );
    return options.out.data;
  };
  return { multiply, scratch, linearAlgebra };
}

describe.each(sides)('portable products, relaxed SIMD %p', (relaxed) => {
  const { multiply, scratch, linearAlgebra } = openProducts(relaxed);

  describe.each([Float32Array, Float64Array])('of %p', (type) => {
    const cases: readonly Case[] = [
      { m: 1, n: 1, k: 1 },
      { m: 1, n: 300, k: 40 },
      { m: 300, n: 1, k: 5, accumulate: true },
      { m: 5, n: 9, k: 3, alpha: -0.5, accumulate: true },
      { m: 7, n: 12, k: 270, gap: 3 },
      { m: 131, n: 260, k: 259, alpha: 2, gap: 1 },
      { m: 140, n: 70, k: 530, accumulate: true },
      { m: 704, n: 8, k: 480 },
      { m: 90, n: 512, k: 30 },
      { m: 11, n: 2048, k: 2 },
      { m: 6, n: 2049, k: 2 },
      { m: 33, n: 8, k: 24, gap: 40, accumulate: true },
    ];
    test.each(cases)('%j, each operand as it is and transposed', (one) => {
      for (const transposeA of [false, true])
        for (const transposeB of [false, true]) {
          const options = problem(type, { ...one, transposeA, transposeB });
          const exact = expected(options);
          const found = multiply(options);
          const limit = (type === Float32Array ? 2 ** -22 : 2 ** -50) * one.k * 2;
          const furthest = exact.reduce(
            (most, value, i) => Math.max(most, Math.abs(value - (found[i] as number))),
            0,
          );
          expect(furthest).toBeLessThanOrEqual(limit);
        }
    });

    test('an element has the same bits in a larger product, and whatever is transposed', () => {
      const k = 530;
      const large = problem(type, { m: 140, n: 300, k, alpha: 0.3 });
      const whole = multiply(large);
      const { a, b } = large;
      const turnedB = {
        data: new type(Array.from({ length: k }, (_, l) => b.data[l * b.stride + 299] as number)),
        stride: k,
      };
      const row = { data: a.data.subarray(139 * a.stride), stride: k };
      const small = problem(type, { m: 1, n: 1, k, alpha: 0.3, transposeB: true });
      expect(multiply({ ...small, a: row, b: turnedB })[0]).toBe(whole.at(-1));
    });

    test('operands in the WebAssembly memory give the same bits', () => {
      const shape = { m: 21, n: 37, k: 19, gap: 2, accumulate: true };
      const outside = problem(type, shape);
      const [a, b, out] = [outside.a, outside.b, outside.out].map(({ data, stride }) => ({
        data: data.slice(),
        stride,
      }));
      if (!a || !b || !out) throw new Error('three operands');
      const bytes = [a, b, out].map(({ data }) => data.byteLength + 64);
      const packing = productScratchBytes(shape.m, shape.n, shape.k, 8);
      scratch.run(
        bytes.reduce((sum, count) => sum + count, packing + 64),
        () => {
          const [insideA, insideB, insideOut] = [a, b, out].map(({ data, stride }) => {
            const address = scratch.take(data.byteLength);
            const view =
              type === Float32Array
                ? scratch.float32(address, data.length)
                : scratch.float64(address, data.length);
            view.set(data);
            return { data: view, stride };
          });
          const inside = { ...outside, a: insideA, b: insideB, out: insideOut };
          if (type === Float32Array) linearAlgebra.sgemm(inside as ProductOptions<Float32Array>);
          else linearAlgebra.dgemm(inside as ProductOptions<Float64Array>);
          expect(insideOut?.data).toEqual(multiplyElsewhere(outside));
        },
      );
    });

    /** Of another instance, whose memory the operands are not in. */
    const elsewhere = openProducts(relaxed);
    const multiplyElsewhere = (options: ProductOptions<Elements>) => elsewhere.multiply(options);

    test('what is not finite stays in its row and column', () => {
      const options = problem(type, { m: 5, n: 9, k: 6 });
      options.a.data[4 * 6] = Number.NaN;
      options.b.data[8] = Number.POSITIVE_INFINITY;
      const found = multiply(options);
      const bad = Array.from(found.keys()).filter((i) => !Number.isFinite(found[i]));
      expect(bad).toEqual(
        Array.from({ length: 45 }, (_, i) => i).filter((i) => i >= 36 || i % 9 === 8),
      );
    });
  });
});

if (hasRelaxedSimd)
  test('fused products have other bits, and their description says so', () => {
    const [plain, fused] = sides.map(openProducts);
    const product = () => problem(Float32Array, { m: 8, n: 8, k: 64 });
    expect(plain?.multiply(product())).not.toEqual(fused?.multiply(product()));
    expect(plain?.linearAlgebra.description.version).toMatch(/, SIMD$/);
    expect(fused?.linearAlgebra.description.version).toMatch(/, relaxed SIMD$/);
  });
