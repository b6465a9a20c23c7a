import type { LayerNormBackwardOptions, LayerNormOptions, Tensor } from '@emloc/device';

import { blockFor } from '../block-for.js';
import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { isWide, wideCount } from '../wide.js';

const computeDTypes = ['float32', 'bfloat16'] as const;

export function layerNorm(context: CudaContext, options: LayerNormOptions): void {
  const { x, weight, bias, epsilon, out, mean, inverseStd } = options;
  const [rows, columns] = checkRows('layerNorm', x, [weight, bias], [mean, inverseStd]);
  expectShape('layerNorm', out, x.shape);
  const parameters = [weight, bias].filter((tensor) => tensor !== null);
  const dtype = expectDType('layerNorm', computeDTypes, x, out, ...parameters);
  const addresses = [x, weight, bias, out].map((tensor) =>
    tensor ? addressOf(context, tensor) : 0,
  );
  const width = isWide(columns, wideCount(dtype), ...addresses) ? wideCount(dtype) : 1;
  const { launcher } = context;
  launcher.begin();
  for (const address of addresses) launcher.pointer(address);
  launcher
    .pointer(addressOf(context, mean))
    .pointer(addressOf(context, inverseStd))
    .int32(columns)
    .float32(epsilon)
    .launch('layer-norm', `layer_norm_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

export function layerNormBackward(context: CudaContext, options: LayerNormBackwardOptions): void {
  const { dOut, x, weight, mean, inverseStd, dX, accumulate } = options;
  const [rows, columns] = checkRows('layerNormBackward', x, [weight], [mean, inverseStd]);
  for (const tensor of [dOut, dX]) expectShape('layerNormBackward', tensor, x.shape);
  const parameters = weight ? [weight] : [];
  const dtype = expectDType('layerNormBackward', computeDTypes, x, dOut, dX, ...parameters);
  const addresses = [dOut, x, weight].map((tensor) => (tensor ? addressOf(context, tensor) : 0));
  const target = addressOf(context, dX);
  const width = isWide(columns, wideCount(dtype), target, ...addresses) ? wideCount(dtype) : 1;
  const { launcher } = context;
  launcher.begin();
  for (const address of addresses) launcher.pointer(address);
  launcher
    .pointer(addressOf(context, mean))
    .pointer(addressOf(context, inverseStd))
    .pointer(target)
    .int32(columns)
    .int32(accumulate ? 1 : 0)
    .launch('layer-norm', `layer_norm_backward_${dtype}${width > 1 ? '_wide' : ''}`, {
      grid: [rows],
      block: blockFor(columns, width),
    });
}

function checkRows(
  operation: string,
  x: Tensor,
  parameters: readonly (Tensor | null)[],
  statistics: readonly [Tensor, Tensor],
): readonly [number, number] {
  const [rows, columns] = rowsAndColumns(operation, x);
  for (const tensor of parameters) if (tensor) expectShape(operation, tensor, [columns]);
  for (const tensor of statistics) expectShape(operation, tensor, [rows]);
  expectDType(operation, ['float32'], ...statistics);
  return [rows, columns];
}
