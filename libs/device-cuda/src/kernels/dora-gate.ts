import type { DoraGateBackwardOptions, DoraGateOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import { shapeFor } from '../shape-for.js';

const computeDTypes = ['float32', 'bfloat16'] as const;

export function doraGate(context: CudaContext, options: DoraGateOptions): void {
  const { magnitude, inverseRms, width, gate } = options;
  const [rows, columns] = rowsAndColumns('doraGate', gate);
  for (const tensor of [magnitude, inverseRms]) expectShape('doraGate', tensor, [columns]);
  expectDType('doraGate', ['float32'], magnitude, inverseRms);
  const dtype = expectDType('doraGate', computeDTypes, gate);
  context.launcher
    .begin()
    .pointer(addressOf(context, magnitude))
    .pointer(addressOf(context, inverseRms))
    .pointer(addressOf(context, gate))
    .int32(rows)
    .int32(columns)
    .float32(Math.sqrt(width))
    .launch('dora-gate', `dora_gate_${dtype}`, shapeFor(columns, 1));
}

export function doraGateBackward(context: CudaContext, options: DoraGateBackwardOptions): void {
  const { dGate, inverseRms, width, dMagnitude } = options;
  const [rows, columns] = rowsAndColumns('doraGateBackward', dGate);
  for (const tensor of [inverseRms, dMagnitude]) expectShape('doraGateBackward', tensor, [columns]);
  expectDType('doraGateBackward', ['float32'], inverseRms, dMagnitude);
  const dtype = expectDType('doraGateBackward', computeDTypes, dGate);
  context.launcher
    .begin()
    .pointer(addressOf(context, dGate))
    .pointer(addressOf(context, inverseRms))
    .pointer(addressOf(context, dMagnitude))
    .int32(rows)
    .int32(columns)
    .float32(Math.sqrt(width))
    .launch('dora-gate', `dora_gate_backward_${dtype}`, shapeFor(columns, 1));
}
