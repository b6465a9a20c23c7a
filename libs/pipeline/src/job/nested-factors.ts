import { get, required } from '@emloc/checked';
import { byteLength, bytesPerElement, type DeviceProfile } from '@emloc/device';
import type { TensorSpec } from '@emloc/weight-pager';

import { paddedRank, type EmulatedLinear } from './emulated-linear.js';
import { factorSpecs, type FactorStore } from './factor-store.js';

interface NestedInputs {
  /** The linears as the store has them. */
  readonly finest: readonly EmulatedLinear[];
  /** The same, of no larger ranks. */
  readonly emulated: readonly EmulatedLinear[];
  readonly profile: DeviceProfile;
}

/** A factor of the store, and the rank of which the first columns or rows are wanted. */
interface Place {
  readonly spec: TensorSpec;
  readonly rank: number;
  readonly kind: 'u' | 'v';
}

/**
 * A store that reads the first columns of U and rows of V, as a coarser level has them: both are
 * in order of what they are worth.
 */
export function nestedFactors(
  store: Pick<FactorStore, 'read'>,
  { finest, emulated, profile }: NestedInputs,
): Pick<FactorStore, 'read'> {
  const places = new Map<string, Place>();
  for (const [index, linear] of finest.entries()) {
    const { rank } = required(emulated[index], `level of ${linear.path}`);
    const [u, v] = factorSpecs(linear, profile);
    places.set(`${linear.block} ${u.name}`, { spec: u, rank, kind: 'u' });
    places.set(`${linear.block} ${v.name}`, { spec: v, rank, kind: 'v' });
  }
  return {
    read: async (block, tensor, destination) => {
      const { spec, rank, kind } = get(places, `${block} ${tensor}`);
      const whole = new Uint8Array(byteLength(spec.shape, spec.dtype));
      await store.read(block, tensor, whole);
      const element = bytesPerElement[spec.dtype];
      const [rows = 0, columns = 0] = spec.shape;
      destination.fill(0);
      if (kind === 'v') destination.set(whole.subarray(0, rank * columns * element));
      else
        copyColumns(whole, destination, {
          rows,
          from: columns * element,
          to: paddedRank(rank, profile) * element,
          width: rank * element,
        });
    },
  };
}

/** Copies the first `width` bytes of each row between matrices of these bytes a row. */
function copyColumns(
  whole: Uint8Array,
  destination: Uint8Array,
  { rows, from, to, width }: { rows: number; from: number; to: number; width: number },
): void {
  for (let row = 0; row < rows; row += 1)
    destination.set(whole.subarray(row * from, row * from + width), row * to);
}
