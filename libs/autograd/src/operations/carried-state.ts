import { TensorScope, type Tensor } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';

/** What an operation hands its kernel: the state before the rows, and room for that after them. */
interface Carried {
  readonly initial: Tensor | undefined;
  readonly final: Tensor | undefined;
}

/**
 * Runs `launch` with the states (S, ...shape) of a run's sequences, and leaves what it writes where
 * later rows find it; without either where no state is bound.
 * @param index among the program's states; null: there is none
 */
export function withState(
  { device, state }: BlockBindings,
  index: number | null,
  { shape, launch }: { readonly shape: readonly number[]; launch(carried: Carried): void },
): void {
  const cache = index === null ? undefined : state?.(index);
  if (!cache) return launch({ initial: undefined, final: undefined });
  const { values, places, goesOn } = cache;
  using scope = new TensorScope(device, 'state');
  const rows = scope.allocate({
    ...{ shape: [places.size, values.dim(1)], dtype: values.dtype, label: 'of sequences' },
    category: 'activations',
  });
  if (goesOn) device.kernels.gatherRows({ table: values, rows: places, out: rows });
  const carried = rows.reshape([places.size, ...shape]);
  launch({ initial: goesOn ? carried : undefined, final: carried });
  device.kernels.scatterRows({ x: rows, rows: places, out: values });
}
