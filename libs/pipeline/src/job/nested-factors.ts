import { get, required } from '@emloc/checked';
import { byteLength, bytesPerElement, type DeviceProfile, type HostDType } from '@emloc/device';

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
  /** Rows and columns as they are stored. */
  readonly shape: readonly [number, number];
  readonly dtype: HostDType;
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
    const stored = paddedRank(linear.rank, profile);
    const { dtype } = u;
    const ofU = [linear.outFeatures, stored] as const;
    const ofV = [stored, linear.inFeatures] as const;
    places.set(`${linear.block} ${u.name}`, { shape: ofU, dtype, rank, kind: 'u' });
    places.set(`${linear.block} ${v.name}`, { shape: ofV, dtype, rank, kind: 'v' });
  }
  return {
    read: async (block, tensor, destination) => {
      const { shape, dtype, rank, kind } = get(places, `${block} ${tensor}`);
      const whole = new Uint8Array(byteLength(shape, dtype));
      await store.read(block, tensor, whole);
      const element = bytesPerElement[dtype];
      const [rows, columns] = shape;
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
