import assert from 'node:assert/strict';
import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { numericGradient } from '../gradient.js';
import { crossEntropy, type CrossEntropySettings } from '../reference/cross-entropy.js';

interface Variant extends CrossEntropySettings {
  readonly rows: number;
  readonly width: number;
  readonly scale?: number;
  readonly layout?: Layout;
  readonly gradientScale?: number;
}

interface Operands {
  readonly logits: Float64Array;
  /** The logits, (N, V); overwritten with their gradient where there is a scale. */
  readonly tensor: Tensor;
  readonly targets: readonly number[];
}

/** Runs the kernel, and checks what it gives beside the gradient. */
async function checkLosses(
  fixture: Fixture,
  { logits, tensor, targets }: Operands,
  { layout, gradientScale, ...settings }: Omit<Variant, 'rows' | 'width' | 'scale'>,
): Promise<void> {
  const rows = targets.length;
  const [loss, prediction] = [fixture.output([rows], 'float32'), fixture.output([rows], 'int32')];
  fixture.device.kernels.crossEntropy({
    logits: tensor,
    targets: fixture.tensor(targets, [rows], { dtype: 'int32', layout }),
    loss,
    prediction,
    gradientScale: fixture.scalar(gradientScale),
    ...settings,
  });
  const expected = crossEntropy(logits, targets, settings);
  await fixture.assertClose(loss, expected.loss, 'loss');
  await fixture.assertEqual(prediction, expected.prediction, 'prediction');
}

async function check(
  fixture: Fixture,
  { rows, width, scale = 4, layout, gradientScale, ...settings }: Variant,
): Promise<void> {
  const logits = fixture.values([rows, width], { scale });
  const targets = fixture.indices(rows, width);
  const tensor = fixture.tensor(logits, [rows, width], { layout });
  await checkLosses(fixture, { logits, tensor, targets }, { layout, gradientScale, ...settings });
  if (gradientScale === undefined) return fixture.assertEqual(tensor, logits, 'logits');
  const total = () =>
    gradientScale *
    crossEntropy(logits, targets, settings).loss.reduce((sum, value) => sum + value, 0);
  await fixture.assertClose(tensor, numericGradient(logits, total), 'dLogits');
}

export const crossEntropyCases: readonly CaseDefinition[] = group('crossEntropy', {
  'gives losses and predictions and leaves the logits': (fixture) =>
    check(fixture, { rows: 9, width: 101 }),
  'gives the gradient of finite differences, scaled': (fixture) =>
    check(fixture, { rows: 5, width: 37, gradientScale: 0.25 }),
  'reads row views': (fixture) =>
    check(fixture, { rows: 4, width: 31, gradientScale: 2, layout: 'rows' }),
  'survives logits whose exponentials overflow': (fixture) =>
    check(fixture, { rows: 4, width: 33, scale: 2000 }),
  'takes vocabularies past every chunk': (fixture) => check(fixture, { rows: 3, width: 40_003 }),
  'scales the logits': async (fixture) => {
    for (const width of [37, 96]) {
      await check(fixture, { rows: 5, width, logitScale: 0.25 });
      await check(fixture, { rows: 5, width, logitScale: 0.25, gradientScale: 0.5 });
    }
  },
  'caps the logits softly': async (fixture) => {
    for (const width of [37, 96]) {
      await check(fixture, { rows: 5, width, softCap: 3 });
      await check(fixture, { rows: 5, width, softCap: 3, gradientScale: 0.5 });
    }
  },
  'scales, then caps': async (fixture) => {
    const settings = { logitScale: 1.5, softCap: 30, gradientScale: 0.25 };
    await check(fixture, { rows: 4, width: 64, scale: 40, ...settings });
    await check(fixture, { rows: 4, width: 45, scale: 40, layout: 'rows', ...settings });
  },
  'tells capped logits apart that the cap makes equal': async (fixture) => {
    const [loss, prediction] = [fixture.output([1], 'float32'), fixture.output([1], 'int32')];
    fixture.device.kernels.crossEntropy({
      logits: fixture.tensor([0, 512, 1024, 0], [1, 4]),
      targets: fixture.tensor([2], [1], { dtype: 'int32' }),
      loss,
      prediction,
      softCap: 5,
    });
    await fixture.assertEqual(prediction, [2], 'prediction');
    await fixture.assertClose(
      loss,
      crossEntropy(Float64Array.of(0, 512, 1024, 0), [2], { softCap: 5 }).loss,
      'loss',
    );
  },
  'counts nothing where the target is −1': async (fixture) => {
    for (const [width, settings] of [
      [37, {}],
      [96, { softCap: 30, logitScale: 0.5 }],
    ] as const)
      for (const gradientScale of [undefined, 0.5]) {
        const rows = 5;
        const logits = fixture.values([rows, width], { scale: 2000 });
        const targets = [3, -1, 0, -1, -1];
        const tensor = fixture.tensor(logits, [rows, width]);
        await checkLosses(fixture, { logits, tensor, targets }, { gradientScale, ...settings });
        if (gradientScale === undefined) {
          await fixture.assertEqual(tensor, logits, 'logits');
          continue;
        }
        const gradients = await fixture.read(tensor);
        assert.ok(
          gradients.every((value, i) =>
            at(targets, Math.floor(i / width)) < 0 ? value === 0 : Number.isFinite(value),
          ),
          'rows that count nothing have gradients of zeros',
        );
        assert.ok(
          gradients.some((value) => value !== 0),
          'the others have gradients',
        );
      }
  },
  'reads the scale of the gradient from the device': async (fixture) => {
    const scale = fixture.tensor([1], [1], { dtype: 'float32' });
    fixture.device.kernels.fill({ out: scale, value: 0.5 });
    const [logits, targets] = [fixture.values([2, 9]), [4, 0]];
    const gradientOf = async (gradientScale: Tensor): Promise<Float64Array> => {
      const tensor = fixture.tensor(logits, [2, 9]);
      fixture.device.kernels.crossEntropy({
        logits: tensor,
        targets: fixture.tensor(targets, [2], { dtype: 'int32' }),
        loss: fixture.output([2], 'float32'),
        prediction: fixture.output([2], 'int32'),
        gradientScale,
      });
      return fixture.read(tensor);
    };
    const whole = await gradientOf(fixture.tensor([1], [1], { dtype: 'float32' }));
    assert.ok(whole.some((value) => value !== 0));
    assert.deepEqual(
      await gradientOf(scale),
      whole.map((value) => value / 2),
    );
  },
  'predicts the smallest index of equal logits': async (fixture) => {
    const [loss, prediction] = [fixture.output([2], 'float32'), fixture.output([2], 'int32')];
    const logits = fixture.tensor([1, 3, 3, 0, 3, 2, 2, 2, 2, 2], [2, 5]);
    fixture.device.kernels.crossEntropy({
      logits,
      targets: fixture.tensor([0, 1], [2], { dtype: 'int32' }),
      loss,
      prediction,
    });
    await fixture.assertEqual(prediction, [1, 0], 'prediction');
  },
  'writes losses and predictions of a chunk of rows into views': async (fixture) => {
    const logits = fixture.values([3, 7]);
    const [loss, prediction] = [fixture.output([5], 'float32'), fixture.output([5], 'int32')];
    fixture.device.kernels.crossEntropy({
      logits: fixture.tensor(logits, [3, 7]),
      targets: fixture.tensor([0, 1, 2], [3], { dtype: 'int32' }),
      loss: loss.rows(1, 4),
      prediction: prediction.rows(1, 4),
    });
    const expected = crossEntropy(logits, [0, 1, 2]);
    await fixture.assertClose(loss.rows(1, 4), expected.loss, 'loss');
    await fixture.assertEqual(prediction, [-1, ...expected.prediction, -1], 'prediction');
    await fixture.assertEqual(loss.rows(0, 1), [Number.NaN], 'loss before the view');
  },
  'passes NaN on to the loss': async (fixture) => {
    const [loss, prediction] = [fixture.output([1], 'float32'), fixture.output([1], 'int32')];
    const logits = fixture.tensor([1, Number.NaN, 2, 0, 1], [1, 5]);
    fixture.device.kernels.crossEntropy({
      logits,
      targets: fixture.tensor([0], [1], { dtype: 'int32' }),
      loss,
      prediction,
    });
    await fixture.assertEqual(loss, [Number.NaN], 'loss');
  },
});
