import { areWithin, layerParameters, type LoraAdapter } from '@emloc/checkpoint';

export function isFiniteAdapter(adapter: LoraAdapter): boolean {
  return isWithin(adapter, Number.MAX_VALUE);
}

/**
 * Beyond it squares of values, or sums of a few, are no float32 numbers: such an adapter has
 * diverged.
 */
const largestSound = 1e15;

export function isSoundAdapter(adapter: LoraAdapter): boolean {
  return isWithin(adapter, largestSound);
}

function isWithin({ layers }: LoraAdapter, largest: number): boolean {
  return [...layers.values()].every((layer) =>
    layerParameters(layer).every((values) => areWithin(values, largest)),
  );
}

/** What is said of an adapter that changes nothing in some of its layers; null: nothing. */
export function zeroLayersNotice({ layers }: LoraAdapter): string | null {
  const zero = [...layers].filter(
    ([, { b, magnitude }]) => !magnitude && b.every((value) => value === 0),
  );
  const [first] = zero;
  if (!first) return null;
  return zero.length === layers.size
    ? `B is zero in all ${layers.size} layers: the adapter changes nothing`
    : `B is zero in ${zero.length} of ${layers.size} layers, which the adapter does not change; the first is ${first[0]}`;
}
