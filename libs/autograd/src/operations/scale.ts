import type { Device, DeviceProfile } from '@emloc/device';

import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

/** A constant, or one that depends on the dtype that the device computes in. */
type Factor = number | ((dtype: ComputeDType) => number);
type ComputeDType = DeviceProfile['computeDType'];

/** factor · x; in x's memory where nobody else needs x. */
export function scale(block: ProgramBuilder, x: Value, factor: Factor): Value {
  if (isOne(factor)) return x;
  const factorOn = ({ profile }: Device): number =>
    typeof factor === 'number' ? factor : factor(profile.computeDType);
  const out = block.value(x.width, x.rows);
  block.add({
    name: 'scale',
    inputs: [x],
    outputs: [out],
    isCheap: false,
    saves: () => [],

    forward(context) {
      const input = context.get(x);
      const output = context.reuse(x, out) ? input : context.create(out);
      const { device } = context.bindings;
      device.kernels.scaleBy({ x: input, out: output, factor: factorOn(device) });
    },

    backward(context) {
      if (!context.needsGradient(x)) return;
      const { device } = context.bindings;
      const [{ kernels }, constant] = [device, factorOn(device)];
      context.contribute(x, (dX, accumulate) => {
        if (accumulate) kernels.add({ x: context.dOut, out: dX, alpha: constant });
        else kernels.scaleBy({ x: context.dOut, out: dX, factor: constant });
      });
    },
  });
  return out;
}

function isOne(factor: Factor): boolean {
  const dtypes = ['float32', 'bfloat16'] as const;
  return dtypes.every((dtype) => (typeof factor === 'number' ? factor : factor(dtype)) === 1);
}
