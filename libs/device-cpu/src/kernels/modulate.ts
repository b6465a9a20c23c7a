import type { ModulateBackwardOptions, ModulateOptions } from '@emloc/device';

import { assertSequences, assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';
import { sumBySequence } from '../sequence-sums.js';

export function modulate({ x, scale, shift, sequences, out }: ModulateOptions): void {
  const [rows, width] = matrix('modulate', x);
  assertSequences('modulate', sequences, rows);
  const { offsets } = sequences;
  assertShape('modulate', out, x.shape);
  for (const tensor of [scale, shift]) assertShape('modulate', tensor, [offsets.length - 1, width]);
  const [input, factors, terms, output] = [
    float32(x),
    float32(scale),
    float32(shift),
    float32(out),
  ];
  for (let s = 1, j = 0; s < offsets.length; s += 1) {
    const first = (s - 1) * width;
    for (const end = (offsets[s] as number) * width; j < end;) {
      for (let i = first; i < first + width; i += 1, j += 1)
        output[j] = (input[j] as number) * (1 + (factors[i] as number)) + (terms[i] as number);
    }
  }
}

export function modulateBackward(options: ModulateBackwardOptions): void {
  const { dOut, x, scale, sequences, dX, accumulate, dScale, dShift } = options;
  const [rows, width] = matrix('modulateBackward', x);
  assertSequences('modulateBackward', sequences, rows);
  const { offsets } = sequences;
  for (const tensor of [dOut, dX]) assertShape('modulateBackward', tensor, x.shape);
  for (const tensor of [scale, dScale, dShift])
    if (tensor) assertShape('modulateBackward', tensor, [offsets.length - 1, width]);
  const [gradient, factors, output] = [float32(dOut), float32(scale), float32(dX)];
  for (let s = 1, j = 0; s < offsets.length; s += 1) {
    const first = (s - 1) * width;
    for (const end = (offsets[s] as number) * width; j < end;) {
      for (let i = first; i < first + width; i += 1, j += 1) {
        const value = (gradient[j] as number) * (1 + (factors[i] as number));
        output[j] = accumulate ? (output[j] as number) + value : value;
      }
    }
  }
  if (dScale) sumBySequence(gradient, float32(x), offsets, float32(dScale));
  if (dShift) sumBySequence(gradient, null, offsets, float32(dShift));
}
