import { BiasedProducts, type BiasedProduct } from './biased-products.js';
import type { CublasLt } from './native/cublas-lt.js';
import type { Streams } from './streams.js';

const product: BiasedProduct = {
  ...{ m: 8, n: 4, k: 16, alpha: 1, beta: 0, dtype: 'bfloat16', outDType: 'bfloat16' },
  left: { address: 4096, transposed: true, stride: 16 },
  right: { address: 8192, transposed: false, stride: 16 },
  out: { address: 512, stride: 8 },
  bias: 1024,
};

/** The library as far as it notes what it is asked; handles are counted up. */
function setUp({ algorithms = 1 } = {}) {
  const calls: string[] = [];
  const products: (readonly unknown[])[] = [];
  const biases: bigint[] = [];
  const alignments: unknown[] = [];
  let handles = 0;
  const library = new Proxy({} as CublasLt, {
    get: (_, property) => {
      const name = String(property).replace('cublasLt', '');
      return (...args: readonly unknown[]) => {
        calls.push(name);
        if (name.endsWith('Create')) (args[0] as BigUint64Array)[0] = BigInt((handles += 1));
        if (name === 'MatmulDescSetAttribute' && args[1] === 8)
          biases.push((args[2] as BigUint64Array)[0] ?? 0n);
        if (name === 'MatmulPreferenceSetAttribute' && args[1] !== 1)
          alignments.push((args[2] as Uint32Array)[0]);
        if (name === 'Matmul') products.push(args);
        return algorithms;
      };
    },
  });
  let launches = 0;
  const biased = new BiasedProducts({
    ...{ calls: library, handle: 7, workspace: { address: 9, bytes: 99 } },
    streams: {
      launchHandleOf: () => 5,
      advance: () => (launches += 1),
    } as unknown as Streams,
  });
  const count = (name: string): number => calls.filter((call) => call === name).length;
  return { biased, count, products, biases, alignments, launched: () => launches };
}

test('one launch adds the bias, in the library’s workspace and on the compute stream', () => {
  const { biased, products, biases, launched } = setUp();
  expect(biased.launch(product)).toBe(true);
  expect(launched()).toBe(1);
  expect(biases.at(-1)).toBe(1024n);
  const [given = []] = products;
  expect([given[0], given[3], given[5], given[8], given[10]]).toEqual([7, 4096, 8192, 512, 512]);
  expect(given.slice(13)).toEqual([9, 99, 5]);
});

test('what is alike is planned once, whatever its addresses and its factor', () => {
  const { biased, count, biases } = setUp();
  biased.launch(product);
  biased.launch({ ...product, alpha: 2, bias: 2048, out: { address: 1024, stride: 8 } });
  expect(count('findAlgorithms')).toBe(1);
  expect(biases.at(-1)).toBe(2048n);
  for (const other of [{ m: 16 }, { beta: 1 }, { bias: 1028 }, { outDType: 'float32' as const }])
    biased.launch({ ...product, ...other });
  expect(count('findAlgorithms')).toBe(5);
});

test('the library is told what addresses are multiples of', () => {
  const { biased, alignments } = setUp();
  biased.launch({ ...product, left: { ...product.left, address: 4096 + 48 } });
  expect(alignments).toEqual([16, 256, 256, 256]);
});

test('where the library has no algorithm nothing is launched, nor asked for again', () => {
  const { biased, count, launched } = setUp({ algorithms: 0 });
  expect([biased.launch(product), biased.launch(product)]).toEqual([false, false]);
  expect([launched(), count('findAlgorithms'), count('Matmul')]).toEqual([0, 1, 0]);
});

test('plans of many shapes do not pile up, and all are given back', () => {
  const { biased, count } = setUp();
  for (let m = 1; m <= 600; m += 1) biased.launch({ ...product, m });
  expect(count('MatmulDescDestroy')).toBe(512);
  biased.close();
  expect(count('MatmulDescDestroy')).toBe(count('MatmulDescCreate'));
  expect(count('MatrixLayoutDestroy')).toBe(count('MatrixLayoutCreate'));
  expect(count('MatmulPreferenceDestroy')).toBe(count('MatmulPreferenceCreate'));
});
