import { at } from '@emloc/checked';
import { Tensor, type AttentionBackwardOptions, type AttentionMask } from '@emloc/device';

import type { CudaContext } from '../context.js';
import { attentionWideBackward, attentionWideBackwardBytes } from './attention-wide-backward.js';

const [heads, kvHeads, headDim, lengths] = [4, 2, 3, [3, 1, 4]] as const;
const rows = 8;
const [scale, softCap] = [0.7, 3];

describe('attention backward of wide heads', () => {
  test.each<AttentionMask>([{ kind: 'causal' }, { kind: 'none' }, { kind: 'window', window: 2 }])(
    'asks for the products that give the gradients under the mask %j',
    (mask) => {
      const card = createCard();
      const options = draw(card, mask);
      const expected = finiteDifferences(card, options);
      const [logSumExp, delta] = summarize(card, options);
      card.write(options.logSumExp, logSumExp);
      const scratch = card.take(attentionWideBackwardBytes(options) / 4);
      const window = mask.kind === 'window' ? mask.window : 0;
      const problem = { rows, headDim, dtype: 'float32', width: null, macros: [], window } as const;
      attentionWideBackward(card.context, options, problem, { delta: card.place(delta), scratch });
      for (const [name, gradient] of Object.entries(expected)) {
        const actual = card.read(options[name as 'dQ' | 'dK' | 'dV']);
        gradient.forEach((value, i) => expect(at(actual, i)).toBeCloseTo(value, 4));
      }
    },
  );
});

type Card = ReturnType<typeof createCard>;

/** Memory of doubles at four bytes each, on which cuBLAS and the kernels do what they are for. */
function createCard() {
  const memory = new Float64Array(2 ** 16).fill(Number.NaN);
  let used = 128;
  const take = (count: number): number => {
    const address = used * 4;
    used += Math.ceil(count / 128) * 128;
    return address;
  };
  const place = (values: ArrayLike<number>): number => {
    const address = take(values.length);
    memory.set(values, address / 4);
    return address;
  };
  const of = (tensor: Tensor) => {
    const first = (tensor as unknown as { handle: { first: number } }).handle.first / 4;
    return memory.subarray(first, first + tensor.size);
  };
  let parameters: number[] = [];
  const push = (value: number) => {
    parameters.push(value);
    return launcher;
  };
  const launcher = {
    begin() {
      parameters = [];
      return launcher;
    },
    ...{ pointer: push, int32: push, float32: push },
    launch(_unit: string, name: string, { grid: [blocks] }: { grid: readonly [number] }) {
      run(memory, name, parameters, blocks);
    },
  };
  const context = {
    launcher,
    pool: { addressOf: ({ first }: { first: number }) => first },
    streams: { advance: () => undefined },
    cublas: { handle: 1, calls: { cublasGemmEx: (...list: unknown[]) => gemm(memory, list) } },
  } as unknown as CudaContext;
  const tensor = (shape: readonly number[], value: () => number) => {
    const made = new Tensor(shape, 'float32', 'x', { first: take(0) }, () => undefined);
    take(made.size);
    of(made).forEach((_, i, values) => (values[i] = value()));
    return made;
  };
  const write = (target: Tensor, values: ArrayLike<number>) => of(target).set(values);
  return { context, take, place, read: of, write, tensor };
}

/** Column-major, as cuBLAS counts. */
function gemm(memory: Float64Array, list: readonly unknown[]): void {
  const [, transposeA, transposeB, m, n, k, alpha, a, , lda, b, , ldb, beta, c, , ldc] =
    list as readonly [number, number, number, number, number, number, Float32Array, ...number[]] &
      Record<13, Float32Array>;
  const [left, right, out] = [a, b, c].map((address) => (address as number) / 4) as [
    number,
    number,
    number,
  ];
  const element = (
    first: number,
    transposed: number,
    stride: number,
    row: number,
    column: number,
  ) => at(memory, first + (transposed ? row * stride + column : column * stride + row));
  for (let row = 0; row < m; row += 1) {
    for (let column = 0; column < n; column += 1) {
      let sum = 0;
      for (let i = 0; i < k; i += 1)
        sum +=
          element(left, transposeA, lda as number, row, i) *
          element(right, transposeB, ldb as number, i, column);
      const to = out + column * (ldc as number) + row;
      const before = at(beta, 0) === 0 ? 0 : at(memory, to);
      memory[to] = at(alpha, 0) * sum + at(beta, 0) * before;
    }
  }
}

/** The kernels of attention-softmax-backward.cu. */
function run(memory: Float64Array, name: string, list: readonly number[], blocks: number): void {
  const [first, second, third, fourth, fifth, sixth] = list.map((value) => value / 4) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (name === 'attention_clear') {
    memory.fill(0, first, first + at(list, 1));
  } else if (name === 'attention_write_sums_float32') {
    const [width, stride] = [at(list, 2), at(list, 3)];
    for (let row = 0; row < blocks; row += 1)
      memory.copyWithin(second + row * stride, first + row * width, first + (row + 1) * width);
  } else {
    const [firstRow, firstKey, keys, length, stride, factor, window, cap] = list.slice(
      6,
    ) as number[];
    expect(name).toBe('attention_softmax_backward_float32');
    expect([length, factor, cap]).toEqual([expect.any(Number), scale, softCap]);
    for (let row = 0; row < blocks; row += 1) {
      for (let i = 0; i < (keys as number); i += 1) {
        const place = row * (stride as number) + i;
        const distance = (firstRow as number) + row - (firstKey as number) - i;
        const isSeen = attends(maskOf.current, distance, window as number);
        const x = Math.tanh((at(memory, first + place) * scale) / softCap);
        const p = isSeen ? Math.exp(softCap * x - at(memory, third + row)) : 0;
        memory[fifth + place] = p;
        memory[sixth + place] =
          p * (at(memory, second + place) - at(memory, fourth + row)) * (1 - x * x) * scale;
      }
    }
  }
}

const maskOf: { current: AttentionMask } = { current: { kind: 'causal' } };

function attends(mask: AttentionMask, distance: number, window: number): boolean {
  if (mask.kind === 'none') return true;
  return distance >= 0 && (mask.kind === 'causal' || distance < window);
}

function draw(card: Card, mask: AttentionMask): AttentionBackwardOptions {
  maskOf.current = mask;
  let state = 1;
  const next = () => ((state = (state * 16_807) % 2_147_483_647) / 2_147_483_647) * 2 - 1;
  const wide = () => card.tensor([rows, heads * headDim], next);
  const narrow = () => card.tensor([rows, kvHeads * headDim], next);
  const offsets = [0, 3, 4, 8];
  const indices = card.tensor([4], () => 0);
  return {
    ...{ q: wide(), k: narrow(), v: narrow(), out: wide(), dOut: wide() },
    ...{ dQ: wide(), dK: narrow(), dV: narrow(), heads, kvHeads, scale, softCap, mask },
    sequences: { offsets, deviceOffsets: indices, positions: indices, maxLength: 4 },
    logSumExp: card.tensor([heads, rows], () => 0),
  };
}

/** Of every head and query: its scores' log Σ exp, and Σ dOut · out. */
function summarize(card: Card, { q, k, v, dOut, mask }: AttentionBackwardOptions) {
  const [queries, keys, values, gradients] = [q, k, v, dOut].map((tensor) => card.read(tensor)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const [logs, means] = [new Float64Array(heads * rows), new Float64Array(heads * rows)];
  let start = 0;
  for (const length of lengths) {
    for (let row = 0; row < length * heads; row += 1) {
      const [query, head] = [Math.floor(row / heads), row % heads];
      const of = ((start + query) * heads + head) * headDim;
      const seen = Array.from({ length }, (_, key) => key).filter((key) =>
        attends(mask ?? { kind: 'causal' }, query - key, mask?.kind === 'window' ? mask.window : 0),
      );
      const place = (key: number) => ((start + key) * kvHeads + Math.floor(head / 2)) * headDim;
      const dot = (x: Float64Array, i: number, y: Float64Array, j: number) =>
        Array.from({ length: headDim }, (_, e) => at(x, i + e) * at(y, j + e)).reduce(
          (a, b) => a + b,
        );
      const scores = seen.map(
        (key) => softCap * Math.tanh((dot(queries, of, keys, place(key)) * scale) / softCap),
      );
      const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
      logs[head * rows + start + query] = Math.log(total);
      means[head * rows + start + query] = seen.reduce(
        (sum, key, i) =>
          sum + (Math.exp(at(scores, i)) / total) * dot(gradients, of, values, place(key)),
        0,
      );
    }
    start += length;
  }
  return [logs, means] as const;
}

/** Of Σ dOut · out. */
function finiteDifferences(card: Card, options: AttentionBackwardOptions) {
  const loss = () => summarize(card, options)[1].reduce((sum, value) => sum + value);
  const gradient = (tensor: Tensor) => {
    const values = card.read(tensor);
    return Float64Array.from(values, (value, i) => {
      const [above, below] = [1e-4, -1e-4].map((step) => {
        values[i] = value + step;
        return loss();
      }) as [number, number];
      values[i] = value;
      return (above - below) / 2e-4;
    });
  };
  return { dQ: gradient(options.q), dK: gradient(options.k), dV: gradient(options.v) };
}
