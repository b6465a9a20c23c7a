import type { GatedAddBackwardOptions, GatedAddOptions } from '@emloc/device';

import { assertSequences, assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';
import { sumBySequence } from '../sequence-sums.js';

export function gatedAdd({ x, gate, sequences, out }: GatedAddOptions): void {
  const [rows, width] = matrix('gatedAdd', x);
  assertSequences('gatedAdd', sequences, rows);
  assertShape('gatedAdd', out, x.shape);
  assertShape('gatedAdd', gate, [sequences.offsets.length - 1, width]);
  addGated(float32(x), float32(gate), sequences.offsets, float32(out));
}

export function gatedAddBackward(options: GatedAddBackwardOptions): void {
  const { dOut, x, gate, sequences, dX, accumulate, dGate } = options;
  const [rows, width] = matrix('gatedAddBackward', x);
  assertSequences('gatedAddBackward', sequences, rows);
  const { offsets } = sequences;
  for (const tensor of [dOut, dX]) assertShape('gatedAddBackward', tensor, x.shape);
  for (const tensor of [gate, dGate])
    if (tensor) assertShape('gatedAddBackward', tensor, [offsets.length - 1, width]);
  const [gradient, output] = [float32(dOut), float32(dX)];
  if (!accumulate) output.fill(0);
  addGated(gradient, float32(gate), offsets, output);
  if (dGate) sumBySequence(gradient, float32(x), offsets, float32(dGate));
}

/** out[i] += gate[s] · x[i] */
function addGated(
  x: Float32Array,
  gate: Float32Array,
  offsets: readonly number[],
  out: Float32Array,
): void {
  const width = offsets.length > 1 ? gate.length / (offsets.length - 1) : 0;
  for (let s = 1, j = 0; s < offsets.length; s += 1) {
    const first = (s - 1) * width;
    for (const end = (offsets[s] as number) * width; j < end;) {
      for (let i = first; i < first + width; i += 1, j += 1)
        out[j] = (out[j] as number) + (gate[i] as number) * (x[j] as number);
    }
  }
}
