import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { numericGradient } from '../gradient.js';
import { mseLoss } from '../reference/mse-loss.js';

interface Variant {
  readonly rows?: number;
  readonly width?: number;
  readonly layout?: Layout;
  readonly targetDType?: DType;
  readonly gradientScale?: number;
  readonly isWeighted?: boolean;
}

async function check(fixture: Fixture, variant: Variant): Promise<void> {
  const { rows = 5, width = 43, layout, targetDType = fixture.compute, gradientScale } = variant;
  const shape = [rows, width];
  const prediction = fixture.values(shape, { scale: 2 });
  const target = fixture.values(shape, { dtype: targetDType });
  const tensor = fixture.tensor(prediction, shape, { layout });
  const weights = variant.isWeighted ? fixture.values([rows], { dtype: 'float32' }) : undefined;
  const loss = fixture.output([rows], 'float32');
  fixture.device.kernels.mseLoss({
    prediction: tensor,
    target: fixture.tensor(target, shape, { dtype: targetDType, layout }),
    weights: weights && fixture.tensor(weights, [rows], { dtype: 'float32', layout }),
    loss,
    gradientScale: fixture.scalar(gradientScale),
  });
  await fixture.assertClose(loss, mseLoss(prediction, target, width, weights), 'loss');
  if (gradientScale === undefined) return fixture.assertEqual(tensor, prediction, 'prediction');
  const total = () =>
    gradientScale *
    mseLoss(prediction, target, width, weights).reduce((sum, value) => sum + value, 0);
  await fixture.assertClose(tensor, numericGradient(prediction, total), 'dPrediction');
}

export const mseLossCases: readonly CaseDefinition[] = group('mseLoss', {
  'gives losses and leaves the prediction': async (fixture) => {
    for (const width of [43, 64, 1]) await check(fixture, { width });
  },
  'gives the gradient of finite differences, scaled': async (fixture) => {
    for (const width of [43, 64]) await check(fixture, { width, gradientScale: 0.25 });
  },
  'takes targets in float32': async (fixture) => {
    for (const width of [43, 64])
      await check(fixture, { width, targetDType: 'float32', gradientScale: 2 });
  },
  'weighs rows, in the losses and in the gradient': async (fixture) => {
    for (const width of [43, 64])
      await check(fixture, { width, isWeighted: true, gradientScale: 0.5, layout: 'rows' });
    await check(fixture, { isWeighted: true });
  },
  'reads row views': (fixture) => check(fixture, { layout: 'rows', gradientScale: 1 }),
  'takes long rows': async (fixture) => {
    for (const width of [5003, 8192]) await check(fixture, { rows: 2, width });
  },
});
