import { at, get } from '@emloc/checked';
import type { Checkpoint } from '@emloc/checkpoint';
import type { HostDType, QuantizedFormat } from '@emloc/device';
import {
  quantizedSource,
  type LayerSource,
  type LayerSpec,
  type TensorSpec,
} from '@emloc/weight-pager';

import { ModelError } from './errors.js';
import { weightPlace, type ModelLayout, type Page } from './layout.js';

/**
 * The pages of a layout, read from a checkpoint by ranges.
 * @throws (when read) CheckpointError CHECKPOINT_NOT_FINITE for a weight that is NaN or infinite
 */
export function checkpointSource(layout: ModelLayout, checkpoint: Checkpoint): LayerSource {
  const layers = layout.pages.map((page) => layerSpec(page, checkpoint));
  const names = layout.pages.map(
    ({ tensors }) => new Map(tensors.map((tensor) => [tensor.name, tensor.checkpointName])),
  );
  const read = finiteReader(checkpoint);
  return {
    layers,
    read: (layer, tensor, destination) => read(get(at(names, layer), tensor), destination),
  };
}

/** Reads tensors; the first time that one is read, its values are checked. */
function finiteReader(
  checkpoint: Checkpoint,
): (name: string, destination: Uint8Array) => Promise<void> {
  const checked = new Set<string>();
  return async (name, destination) => {
    if (checked.has(name)) return checkpoint.read(name, destination);
    await checkpoint.readFinite(name, destination);
    checked.add(name);
  };
}

/** Names, within a page, of the low-rank factors that stand in for a linear's weight. */
export function factorNames(linear: string): { readonly u: string; readonly v: string } {
  return { u: `${linear}.u`, v: `${linear}.v` };
}

/** Tensors of one page that replace others of the base, e.g. factors for weights. */
export interface TensorOverlay {
  /** Names of the base's tensors that are left out. */
  readonly removes: ReadonlySet<string>;
  readonly adds: readonly TensorSpec[];
  read(tensor: string, destination: Uint8Array): Promise<void>;
}

/** A source with some pages changed: an emulator is its original with factors laid over. */
export function overlaySource(
  base: LayerSource,
  overlays: ReadonlyMap<number, TensorOverlay>,
): LayerSource {
  const layers = base.layers.map((layer, index): LayerSpec => {
    const overlay = overlays.get(index);
    if (!overlay) return layer;
    const untouched = layer.tensors.filter(({ name }) => !overlay.removes.has(name));
    return { name: layer.name, tensors: [...untouched, ...overlay.adds] };
  });
  const added = new Map(
    [...overlays].map(([index, { adds }]) => [index, new Set(adds.map(({ name }) => name))]),
  );
  return {
    layers,
    read: (layer, tensor, destination) => {
      const overlay = added.get(layer)?.has(tensor) ? overlays.get(layer) : undefined;
      return overlay ? overlay.read(tensor, destination) : base.read(layer, tensor, destination);
    },
  };
}

/**
 * A model, or an emulator of it, with the weights of linears that can be trained, and factors in
 * their place, held small. Embedding, head, biases and norms are what they are.
 */
export function quantizedLinears(
  base: LayerSource,
  layout: Pick<ModelLayout, 'blocks' | 'pages' | 'linears'>,
  format: QuantizedFormat,
): LayerSource {
  const names = layout.pages.map(() => new Set<string>());
  for (const linear of layout.linears) {
    const { page, tensor } = weightPlace(layout, linear);
    const { u, v } = factorNames(linear.name);
    for (const name of [tensor, u, v]) at(names, page).add(name);
  }
  return quantizedSource(base, {
    format,
    includes: (page, { name }) => at(names, page).has(name),
  });
}

/** A source of some of another's pages. */
export function pagesSource(base: LayerSource, pages: readonly number[]): LayerSource {
  return {
    layers: pages.map((page) => at(base.layers, page)),
    read: (layer, tensor, destination) => base.read(at(pages, layer), tensor, destination),
  };
}

/** Some tensors of one page, as a page of their own. */
export interface SourceSlice {
  readonly name: string;
  readonly page: number;
  readonly tensors: readonly string[];
}

/** A source whose pages are parts of another's: for work that needs one linear at a time. */
export function sliceSource(base: LayerSource, slices: readonly SourceSlice[]): LayerSource {
  const layers = slices.map(({ name, page, tensors }): LayerSpec => {
    const specs = at(base.layers, page).tensors;
    return {
      name,
      tensors: tensors.map((tensor) =>
        found(
          specs.find((spec) => spec.name === tensor),
          tensor,
        ),
      ),
    };
  });
  return {
    layers,
    read: (layer, tensor, destination) => base.read(at(slices, layer).page, tensor, destination),
  };
}

function layerSpec({ name, tensors }: Page, checkpoint: Checkpoint): LayerSpec {
  return {
    name,
    tensors: tensors.map(({ name: tensor, shape, checkpointName, deviceDType }): TensorSpec => ({
      ...{ name: tensor, shape, deviceDType },
      dtype: found(checkpoint.tensors.get(checkpointName), checkpointName).dtype as HostDType,
    })),
  };
}

/** @throws ModelError MODEL_TENSOR_MISSING */
function found<T>(value: T | undefined, tensor: string): T {
  if (value === undefined)
    throw new ModelError('MODEL_TENSOR_MISSING', `no tensor ${tensor} in this page`);
  return value;
}
