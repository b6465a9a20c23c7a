import { at, get } from '@emloc/checked';
import type { DeviceProfile, QuantizedFormat } from '@emloc/device';
import { emulatorRank } from '@emloc/emulator';
import {
  factorNames,
  layoutOf,
  overlaySource,
  quantizedLinears,
  type ModelLayout,
  type ModelLinear,
  type TensorOverlay,
} from '@emloc/models';
import type { LayerSource, TensorSpec } from '@emloc/weight-pager';

import { gpuShapes } from './gpu-shapes.js';

const patternElements = 2 ** 20;

/** A model of random weights that are made where they are read: nothing on disk. */
export interface SyntheticModel {
  readonly layout: ModelLayout;
  /** Those that are emulated, of the first block that has any. */
  readonly firstLinears: readonly ModelLinear[];
  readonly original: LayerSource;
  /** Rank of a linear layer's factors, before padding. */
  rankOf(linear: ModelLinear): number;
  /** The original with factors in place of the blocks' weights. */
  readonly emulator: LayerSource;
}

/**
 * @param shape a name of `gpuShapes`;
 * @param ratio of the emulator;
 * @param blocks fewer than the shape has, for one that takes less time
 */
export function syntheticModel({
  shape,
  ratio,
  profile,
  blocks,
}: {
  shape: string;
  ratio: number;
  profile: DeviceProfile;
  blocks?: number;
}): SyntheticModel {
  const config = get(gpuShapes, shape);
  const layout = layoutOf({ ...config, num_hidden_layers: blocks ?? config.num_hidden_layers });
  return syntheticWeights(layout, { ratio, profile });
}

/** @param ratio of the emulator */
export function syntheticWeights(
  layout: ModelLayout,
  { ratio, profile }: { readonly ratio: number; readonly profile: DeviceProfile },
): SyntheticModel {
  const rankOf = ({ inFeatures, outFeatures }: ModelLinear): number =>
    emulatorRank(ratio, inFeatures, outFeatures);
  const paddedRankOf = (linear: ModelLinear): number =>
    Math.ceil(rankOf(linear) / profile.rankMultiple) * profile.rankMultiple;
  const read = randomWeights(layout);
  const original: LayerSource = {
    layers: layout.pages.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map(({ name: tensor, shape, deviceDType }): TensorSpec => ({
        ...{ name: tensor, shape, deviceDType },
        dtype: 'bfloat16',
      })),
    })),
    read,
  };
  const overlays = factorOverlays(layout, { read, paddedRankOf });
  const emulated = layout.linears.filter(isEmulated);
  const { block: first } = at(emulated, 0);
  return {
    layout,
    firstLinears: emulated.filter(({ block }) => block === first),
    original,
    rankOf,
    emulator: overlaySource(original, overlays),
  };
}

/** The same model with the weights of its linears, and their factors, held small. */
export function heldModel(model: SyntheticModel, storage: QuantizedFormat): SyntheticModel {
  const held = (source: LayerSource): LayerSource =>
    quantizedLinears(source, model.layout, storage);
  return { ...model, original: held(model.original), emulator: held(model.emulator) };
}

/** Whether the emulator has factors in place of it. */
export function isEmulated({ emulated }: ModelLinear): boolean {
  return emulated === 'byDefault';
}

/** By page: factors in place of its linears' weights. */
function factorOverlays(
  { blocks, linears }: ModelLayout,
  {
    read,
    paddedRankOf,
  }: { read: LayerSource['read']; paddedRankOf: (linear: ModelLinear) => number },
): ReadonlyMap<number, TensorOverlay> {
  const factorsOf = (linear: ModelLinear): TensorSpec[] => {
    const { u, v } = factorNames(linear.name);
    const rank = paddedRankOf(linear);
    return [
      { name: u, shape: [linear.outFeatures, rank], dtype: 'bfloat16' },
      { name: v, shape: [rank, linear.inFeatures], dtype: 'bfloat16' },
    ];
  };
  return new Map(
    blocks.flatMap(({ index, page }): [number, TensorOverlay][] => {
      const own = linears.filter((linear) => linear.block === index && isEmulated(linear));
      if (own.length === 0) return [];
      const overlay: TensorOverlay = {
        removes: new Set(own.map(({ name }) => `${name}.weight`)),
        adds: own.flatMap(factorsOf),
        read: (tensor, destination) => read(page, tensor, destination),
      };
      return [[page, overlay]];
    }),
  );
}

/**
 * Normal values of standard deviation 0.02 (0.03 for U, so that U V is near that); norms and what
 * scales whole layers are ones.
 * They are made at the first read, which planning never does.
 */
function randomWeights(layout: ModelLayout): LayerSource['read'] {
  let patterns: { readonly narrow: Uint16Array; readonly wide: Uint16Array } | null = null;
  const pages = layout.pages.map(({ name }) => name);
  return (layer, tensor, destination) => {
    const target = new Uint16Array(
      destination.buffer,
      destination.byteOffset,
      destination.byteLength / 2,
    );
    if (/norm(_\w+)?\.weight$|layer_scalar$/.test(tensor)) {
      target.fill(0x3f80);
    } else {
      patterns ??= { narrow: normalPattern(0.02), wide: normalPattern(0.03) };
      repeat(
        tensor.endsWith('.u') ? patterns.wide : patterns.narrow,
        target,
        (layer * 7919 + tensor.length * 104_729 + at(pages, layer).length) % 65_536,
      );
    }
    return Promise.resolve();
  };
}

function repeat(pattern: Uint16Array, target: Uint16Array, start: number): void {
  let from = start;
  for (let done = 0; done < target.length;) {
    const count = Math.min(pattern.length - from, target.length - done);
    target.set(pattern.subarray(from, from + count), done);
    done += count;
    from = 0;
  }
}

/** Box and Muller over a linear congruential generator, rounded to bfloat16. */
function normalPattern(deviation: number): Uint16Array {
  let state = 12_345;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const values = Float32Array.from(
    { length: patternElements },
    () => deviation * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (value) => (value + 0x8000) >>> 16);
}
