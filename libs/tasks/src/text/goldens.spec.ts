import { readFileSync } from 'node:fs';
import type { LoraAdapter } from '@emloc/checkpoint';
import type { CrossEntropyOptions } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import { DeviceAdapter, gradientsOf } from '@emloc/finetune';
import { linearModules, textLimits, type ModelLayout } from '@emloc/models';

import { fullRow, oneBatch, openFixture } from '../../test/fixtures.js';
import { TextRows } from './text-rows.js';
import { evaluateText } from './text-score.js';

interface Golden {
  readonly tokens: readonly { readonly ids: readonly number[]; readonly nll_mean: number }[];
  /**
   * Per text: logits of the first token ids at the last and the first position, log Σ exp of the
   * last, the argmax everywhere.
   */
  readonly logits: readonly {
    readonly last: number[];
    readonly first: number[];
    readonly logsumexp_last: number;
    readonly argmax: number[];
  }[];
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly text: number;
    readonly loss: number;
    readonly grads: Readonly<
      Record<string, { A_norm: number; B_norm: number; A_first: number[]; B_first: number[] }>
    >;
  };
}

/** Made with transformers 5.17 and torch 2.11 in float32; see `how` in each file. */
function readGolden(name: string): Golden {
  return JSON.parse(
    readFileSync(new URL(`../../test/goldens/golden-${name}.json`, import.meta.url), 'utf8'),
  ) as Golden;
}

describe.each(['demo-5m', 'tiny-qwen2'] as const)('%s against transformers', (name) => {
  const golden = readGolden(name);

  it('gives the same mean negative log-likelihood of every text', async () => {
    const fixture = await openFixture(name);
    const losses: number[] = [];
    for (const { ids } of golden.tokens) {
      const [score] = await evaluateText({
        model: fixture.paged,
        batches: oneBatch([fullRow(ids)]),
        variants: [null],
      });
      losses.push(score?.loss ?? Number.NaN);
    }
    expect(losses.length).toBeGreaterThan(2);
    losses.forEach((loss, index) =>
      expect(Math.abs(loss - (golden.tokens[index]?.nll_mean ?? 0))).toBeLessThan(1e-4),
    );
    await fixture.close();
  });

  it('gives the same logits at the first and the last position, packed with other texts', async () => {
    const rows: Float32Array[] = [];
    const backend = createCpuBackend();
    const { crossEntropy } = backend.kernels;
    const pending: Promise<void>[] = [];
    const record = (options: CrossEntropyOptions): void => {
      pending.push(
        backend
          .download(options.logits)
          .then((values) => void rows.push(Float32Array.from(values as Float32Array))),
      );
      crossEntropy.call(backend.kernels, options);
    };
    Object.assign(backend.kernels, { crossEntropy: record });
    const fixture = await openFixture(name, { backend });
    const ends = golden.tokens.map(({ ids }) => {
      const withNext = [...ids, 0];
      return {
        ids: Int32Array.from(withNext),
        trained: Uint8Array.from(withNext, (_, i) => (i === 1 || i === ids.length ? 1 : 0)),
        line: 1,
      };
    });
    await evaluateText({ model: fixture.paged, batches: oneBatch(ends), variants: [null] });
    await Promise.all(pending);
    const [all] = rows;
    const vocabulary = textLimits(fixture.model.layout).vocabularySize;
    expect(rows).toHaveLength(1);
    expect(all).toHaveLength(2 * golden.logits.length * vocabulary);
    golden.logits.forEach((reference, text) => {
      const first =
        all?.subarray(2 * text * vocabulary, (2 * text + 1) * vocabulary) ?? new Float32Array();
      const last =
        all?.subarray((2 * text + 1) * vocabulary, (2 * text + 2) * vocabulary) ??
        new Float32Array();
      expectLogits(first, reference.first);
      expectLogits(last, reference.last);
      const largest = last.reduce((most, value) => Math.max(most, value), -Infinity);
      const logSumExp =
        largest + Math.log(last.reduce((sum, value) => sum + Math.exp(value - largest), 0));
      expect(Math.abs(logSumExp - reference.logsumexp_last)).toBeLessThan(
        1e-4 * reference.logsumexp_last,
      );
      expect(last.indexOf(largest)).toBe(reference.argmax.at(-1));
    });
    await fixture.close();
  });

  it.each([0, 99])(
    'gives the same LoRA loss and gradients with %i blocks kept',
    async (keptBlocks) => {
      const { lora } = golden;
      const fixture = await openFixture(name);
      const { paged, device, model } = fixture;
      const ids = golden.tokens[lora.text]?.ids ?? [];
      const adapter = DeviceAdapter.load(device, model.layout, goldenAdapter(model.layout, lora), {
        trainable: true,
      });
      const { loss, gradients } = await gradientsOf({
        model: paged,
        adapter,
        source: new TextRows([fullRow(ids)]),
        rows: [0],
        keptBlocks,
      });
      expect(Math.abs(loss - lora.loss)).toBeLessThan(1e-4 * lora.loss);

      expect([...gradients.keys()].sort()).toEqual(Object.keys(lora.grads).sort());
      for (const [path, { a, b }] of gradients) {
        const reference = lora.grads[path];
        if (!reference) throw new Error(`no golden gradient of ${path}`);
        expectGradient(a, { norm: reference.A_norm, first: reference.A_first });
        expectGradient(b, { norm: reference.B_norm, first: reference.B_first });
      }
      adapter.dispose();
      await fixture.close();
    },
  );
});

function expectLogits(values: Float32Array, reference: readonly number[]): void {
  const largest = Math.max(...reference.map(Math.abs));
  reference.forEach((value, id) =>
    expect(Math.abs(value - (values[id] ?? Number.NaN))).toBeLessThan(1e-4 * largest),
  );
}

function expectGradient(
  values: ArrayLike<number>,
  reference: { norm: number; first: readonly number[] },
): void {
  const norm = Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));
  expect(Math.abs(norm - reference.norm)).toBeLessThan(1e-4 * reference.norm);
  reference.first.forEach((value, index) =>
    expect(Math.abs((values[index] ?? Number.NaN) - value)).toBeLessThan(1e-4 * reference.norm),
  );
}

/** A[k] = sin(0.37 k) / sqrt(in), B[k] = 0.02 cos(0.73 k), k the row-major index. */
function goldenAdapter(layout: ModelLayout, { rank, alpha }: Golden['lora']): LoraAdapter {
  const layers = new Map(
    [...linearModules(layout)].map(([path, { inFeatures, outFeatures }]) => [
      path,
      {
        a: Float32Array.from(
          { length: rank * inFeatures },
          (_, k) => Math.sin(0.37 * k) / Math.sqrt(inFeatures),
        ),
        b: Float32Array.from({ length: outFeatures * rank }, (_, k) => 0.02 * Math.cos(0.73 * k)),
        inFeatures,
        outFeatures,
      },
    ]),
  );
  return { rank, alpha, useRslora: false, targetModules: [], layers };
}
