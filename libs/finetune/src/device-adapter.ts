import type { AdapterBinding } from '@emloc/autograd';
import { at, get, required } from '@emloc/checked';
import {
  layerParameters,
  layerRank,
  layerScale,
  type LoraAdapter,
  type LoraLayer,
} from '@emloc/checkpoint';
import type { Device, Tensor } from '@emloc/device';
import { adaptableModules, type Block, type ModelLayout, type ModelLinear } from '@emloc/models';

import { FinetuneError } from './errors.js';
import { bytesOf } from './paged-model.js';

interface AdapterLayer {
  readonly binding: AdapterBinding;
  /**
   * float32 parameters of an adapter that is trained; the tensors of `binding` itself where the
   * device computes in float32.
   */
  readonly parameters: Views | null;
}

interface Views {
  readonly a: Tensor;
  readonly b: Tensor;
  /** Of DoRA. */
  readonly magnitude: Tensor | null;
}

type FlatName = 'compute' | 'parameters' | 'gradients';

/** Where a layer's parameters lie in a flat tensor, in elements. */
interface Place {
  readonly a: number;
  readonly b: number;
  readonly magnitude: number | null;
  readonly end: number;
}

/**
 * Each of them starts at a multiple of this many elements: 32 bytes in bfloat16, so that the widest
 * accesses are aligned.
 */
const alignedElements = 16;

/**
 * A LoRA adapter on a device: in the compute dtype and, when it is trained, with float32 parameters
 * and gradients. Magnitudes of DoRA are float32 always.
 */
export class DeviceAdapter {
  readonly #layers = new Map<string, AdapterLayer>();
  /**
   * One tensor for all parameters, one for all gradients: what is done to all of them is one
   * launch.
   */
  readonly #flat = new Map<FlatName, Tensor>();
  /** Magnitudes of layers that are not trained. */
  readonly #magnitudes: Tensor[] = [];
  readonly #places: ReadonlyMap<string, Place>;
  readonly #modules: ReturnType<typeof adaptableModules>;
  /** By block and name within it. */
  readonly #paths: ReadonlyMap<number, ReadonlyMap<string, string>>;
  readonly #numbers: ReadonlyMap<string, number>;
  #parameters: readonly Tensor[] | null = null;
  #gradients: readonly Tensor[] | null = null;

  private constructor(
    private readonly device: Device,
    layout: ModelLayout,
    private readonly host: LoraAdapter,
  ) {
    this.#places = placesOf(host);
    this.#modules = adaptableModules(layout);
    this.#paths = pathsByBlock(this.#modules.values());
    this.#numbers = new Map([...this.#modules.keys()].map((path, number) => [path, number]));
  }

  /**
   * Uploads an adapter. `trainable` adds gradients.
   * @throws FinetuneError when a layer does not fit the model, or is one that cannot be trained.
   */
  static load(
    device: Device,
    layout: ModelLayout,
    host: LoraAdapter,
    options: { trainable: boolean },
  ): DeviceAdapter {
    const other = layout.otherLinears.find(({ path }) => host.layers.has(path));
    if (options.trainable && other)
      throw new FinetuneError(
        'FINETUNE_INVALID_OPTION',
        `the adapter's layer ${other.path} cannot be trained: its gradients are not built`,
      );
    const adapter = new DeviceAdapter(device, layout, host);
    try {
      adapter.#allocate(options.trainable);
      for (const path of host.layers.keys()) adapter.#load(path);
      return adapter;
    } catch (error) {
      adapter.dispose();
      throw error;
    }
  }

  /** Names, within a block, of its adapted linears. */
  adaptedIn(block: Block): ReadonlySet<string> {
    const names = block.program.linears.map(({ name }) => name);
    return new Set(names.filter((name) => this.#layers.has(this.pathOf(block, name))));
  }

  binding(block: Block, linear: string): AdapterBinding | null {
    return this.#layers.get(this.pathOf(block, linear))?.binding ?? null;
  }

  /** Module path of a linear, by its name within a block. */
  pathOf(block: Block, linear: string): string {
    return get(get(this.#paths, block.index), linear);
  }

  /** Of a linear among all that the model can have adapted, whichever are. */
  numberOf(block: Block, linear: string): number {
    return get(this.#numbers, this.pathOf(block, linear));
  }

  /** Module paths, in the order of `parameters` (A, B and, of DoRA, the magnitude of each). */
  get paths(): readonly string[] {
    return [...this.#layers.keys()];
  }

  /** The same array for the adapter's life: a device may keep what it knows of it. */
  get parameters(): readonly Tensor[] {
    this.#parameters ??= [...this.#layers.values()].flatMap(({ parameters }) =>
      parameters ? listed(parameters) : [],
    );
    return this.#parameters;
  }

  /** Likewise. */
  get gradients(): readonly Tensor[] {
    this.#gradients ??= [...this.#layers.values()].flatMap(({ binding }) =>
      binding.gradients ? listed(binding.gradients) : [],
    );
    return this.#gradients;
  }

  /** All gradients as one float32 tensor, zero where none lies. @throws where none are kept */
  get flatGradients(): Tensor {
    return get(this.#flat, 'gradients');
  }

  /** Of a tensor like `flatGradients`: the parts of each parameter, in the order of `gradients`. */
  partsOf(flat: Tensor): readonly Tensor[] {
    return this.paths.flatMap((path) => listed(required(this.#viewsIn(flat, path), path)));
  }

  zeroGradients(): void {
    const out = this.#flat.get('gradients');
    if (out) this.device.kernels.fill({ out, value: 0 });
  }

  /** Brings the compute-dtype copies up to date after the parameters changed. */
  refresh(): void {
    const [x, out] = [this.#flat.get('parameters'), this.#flat.get('compute')];
    if (x && out && x !== out) this.device.kernels.cast({ x, out });
  }

  /** Replaces the parameters by an adapter's of the same layers, which must stay as they are. */
  replace(adapter: LoraAdapter): void {
    for (const [path, { parameters }] of this.#layers) {
      const layer = adapter.layers.get(path);
      if (!layer || !parameters) continue;
      this.#upload(parameters, layer);
    }
    this.refresh();
  }

  /** The adapter with its present parameters. */
  async download(): Promise<LoraAdapter> {
    const layers = new Map(this.host.layers);
    for (const [path, { parameters }] of this.#layers) {
      const layer = layers.get(path);
      if (!layer || !parameters) continue;
      layers.set(path, { ...layer, ...(await downloadLayer(this.device, parameters)) });
    }
    return { ...this.host, layers };
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    for (const tensor of new Set([...this.#flat.values(), ...this.#magnitudes.splice(0)]))
      tensor.dispose();
    this.#flat.clear();
    this.#layers.clear();
  }

  #allocate(isTrainable: boolean): void {
    const { computeDType } = this.device.profile;
    const size = [...this.#places.values()].at(-1)?.end ?? 0;
    const allocate = (name: FlatName, dtype: 'float32' | 'bfloat16'): void => {
      this.#flat.set(name, this.device.allocate([size], dtype, 'lora', `adapter's ${name}`));
    };
    allocate('compute', computeDType);
    if (!isTrainable) return;
    allocate('gradients', 'float32');
    if (computeDType !== 'float32') allocate('parameters', 'float32');
    else this.#flat.set('parameters', get(this.#flat, 'compute'));
    // What lies between two layers is read with them.
    for (const out of this.#flat.values()) this.device.kernels.fill({ out, value: 0 });
  }

  #load(path: string): void {
    const layer = this.host.layers.get(path);
    if (!layer) return;
    this.#assertFits(path, layer.inFeatures, layer.outFeatures);
    for (const name of this.#flat.has('parameters')
      ? (['parameters', 'compute'] as const)
      : (['compute'] as const)) {
      const tensors = this.#views(name, path);
      if (tensors) this.#upload(tensors, layer);
    }
    const compute = this.#views('compute', path);
    if (!compute) return;
    const parameters = this.#views('parameters', path);
    const binding = {
      rank: layerRank(this.host, layer),
      scale: layerScale(this.host, layer),
      ...compute,
      magnitude: parameters ? parameters.magnitude : this.#ownMagnitude(layer),
      gradients: this.#views('gradients', path),
    };
    this.#layers.set(path, { binding, parameters });
  }

  #ownMagnitude({ magnitude }: LoraLayer): Tensor | null {
    if (!magnitude) return null;
    const source = { bytes: bytesOf(magnitude), dtype: 'float32' } as const;
    const shape = [magnitude.length];
    const tensor = this.device.tensor(source, shape, 'float32', 'lora', "adapter's magnitude");
    this.#magnitudes.push(tensor);
    return tensor;
  }

  #upload(tensors: Views, layer: LoraLayer): void {
    for (const [index, values] of layerParameters(layer).entries())
      this.device.upload(at(listed(tensors), index), { bytes: bytesOf(values), dtype: 'float32' });
  }

  #views(name: FlatName, path: string): Views | null {
    const flat = this.#flat.get(name);
    return flat ? this.#viewsIn(flat, path) : null;
  }

  #viewsIn(flat: Tensor, path: string): Views | null {
    const [place, layer] = [this.#places.get(path), this.host.layers.get(path)];
    if (!place || !layer) return null;
    const rank = layerRank(this.host, layer);
    const view = (start: number, shape: readonly [number, number]): Tensor =>
      flat.rows(start, start + shape[0] * shape[1]).reshape(shape);
    const { magnitude: start } = place;
    return {
      a: view(place.a, [rank, layer.inFeatures]),
      b: view(place.b, [layer.outFeatures, rank]),
      magnitude: start === null ? null : flat.rows(start, start + layer.outFeatures),
    };
  }

  #assertFits(path: string, inFeatures: number, outFeatures: number): void {
    const linear = this.#modules.get(path);
    if (!linear)
      throw new FinetuneError(
        'FINETUNE_INVALID_OPTION',
        `the adapter's layer ${path} is no linear layer of this model`,
      );
    if (linear.inFeatures !== inFeatures || linear.outFeatures !== outFeatures) {
      throw new FinetuneError(
        'FINETUNE_INVALID_OPTION',
        `the adapter's layer ${path} is ${outFeatures} x ${inFeatures}, the model's ${linear.outFeatures} x ${linear.inFeatures}`,
      );
    }
  }
}

function listed({ a, b, magnitude }: Views): readonly Tensor[] {
  return magnitude ? [a, b, magnitude] : [a, b];
}

async function downloadLayer(
  device: Device,
  { a, b, magnitude }: Views,
): Promise<Pick<LoraLayer, 'a' | 'b' | 'magnitude'>> {
  return {
    a: await downloadFloat32(device, a),
    b: await downloadFloat32(device, b),
    ...(magnitude && { magnitude: await downloadFloat32(device, magnitude) }),
  };
}

async function downloadFloat32(device: Device, tensor: Tensor): Promise<Float32Array> {
  const values = await device.download(tensor);
  if (!(values instanceof Float32Array)) throw new Error(`${tensor.label} is not float32`);
  return values;
}

function placesOf(adapter: LoraAdapter): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  let end = 0;
  const take = (elements: number): number => {
    const start = end;
    end += Math.ceil(elements / alignedElements) * alignedElements;
    return start;
  };
  for (const [path, layer] of adapter.layers) {
    const rank = layerRank(adapter, layer);
    const [a, b] = [take(rank * layer.inFeatures), take(rank * layer.outFeatures)];
    const magnitude = layer.magnitude ? take(layer.outFeatures) : null;
    places.set(path, { a, b, magnitude, end });
  }
  return places;
}

function pathsByBlock(
  linears: Iterable<ModelLinear>,
): ReadonlyMap<number, ReadonlyMap<string, string>> {
  const paths = new Map<number, Map<string, string>>();
  for (const { block, name, path } of linears)
    paths.set(block, (paths.get(block) ?? new Map<string, string>()).set(name, path));
  return paths;
}
