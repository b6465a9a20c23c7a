import type { AdapterBinding } from '@emloc/autograd';
import { adapterScale, type LoraAdapter } from '@emloc/checkpoint';
import type { Device, Tensor } from '@emloc/device';
import type { ModelLayout } from '@emloc/models';
import { FinetuneError } from './errors.js';
import { bytesOf } from './paged-model.js';

interface AdapterLayer {
  readonly binding: AdapterBinding;
  /** float32 parameters of an adapter that is trained; the tensors of `binding` itself where the device computes in float32. */
  readonly parameters: { readonly a: Tensor; readonly b: Tensor } | null;
}

/** A LoRA adapter on a device: in the compute dtype and, when it is trained, with float32 parameters and gradients. */
export class DeviceAdapter {
  readonly #layers = new Map<string, AdapterLayer>();
  readonly #tensors: Tensor[] = [];

  private constructor(
    private readonly device: Device,
    private readonly layout: ModelLayout,
    private readonly host: LoraAdapter,
  ) {}

  /** Uploads an adapter. `trainable` adds gradients. @throws FinetuneError when a layer does not fit the model. */
  static load(device: Device, layout: ModelLayout, host: LoraAdapter, options: { trainable: boolean }): DeviceAdapter {
    const adapter = new DeviceAdapter(device, layout, host);
    try {
      for (const path of host.layers.keys()) adapter.#load(path, options.trainable);
      return adapter;
    } catch (error) {
      adapter.dispose();
      throw error;
    }
  }

  /** The lowest block with an adapter: the backward goes no further down. */
  get lowestBlock(): number {
    for (let block = 0; block < this.layout.blockCount; block += 1) if (this.adaptedIn(block).size > 0) return block;
    return this.layout.blockCount;
  }

  /** Names, within a block, of its adapted linear layers. */
  adaptedIn(block: number): ReadonlySet<string> {
    return new Set(this.layout.linears.map(({ name }) => name).filter((name) => this.#layers.has(this.#path(block, name))));
  }

  binding(block: number, linear: string): AdapterBinding | null {
    return this.#layers.get(this.#path(block, linear))?.binding ?? null;
  }

  /** Module paths, in the order of `parameters` (A then B of each). */
  get paths(): readonly string[] {
    return [...this.#layers.keys()];
  }

  get parameters(): readonly Tensor[] {
    return [...this.#layers.values()].flatMap(({ parameters }) => (parameters ? [parameters.a, parameters.b] : []));
  }

  get gradients(): readonly Tensor[] {
    return [...this.#layers.values()].flatMap(({ binding }) => (binding.gradients ? [binding.gradients.a, binding.gradients.b] : []));
  }

  zeroGradients(): void {
    for (const out of this.gradients) this.device.kernels.fill({ out, value: 0 });
  }

  /** Brings the compute-dtype copies up to date after the parameters changed. */
  refresh(): void {
    for (const { parameters, binding } of this.#layers.values()) {
      if (!parameters || parameters.a === binding.a) continue;
      this.device.kernels.cast({ x: parameters.a, out: binding.a });
      this.device.kernels.cast({ x: parameters.b, out: binding.b });
    }
  }

  /** The adapter with its present parameters. */
  async download(): Promise<LoraAdapter> {
    const layers = new Map(this.host.layers);
    for (const [path, { parameters }] of this.#layers) {
      const layer = layers.get(path);
      if (!layer || !parameters) continue;
      const a = await downloadFloat32(this.device, parameters.a);
      layers.set(path, { ...layer, a, b: await downloadFloat32(this.device, parameters.b) });
    }
    return { ...this.host, layers };
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
    this.#layers.clear();
  }

  #load(path: string, trainable: boolean): void {
    const layer = this.host.layers.get(path);
    if (!layer) return;
    this.#assertFits(path, layer.inFeatures, layer.outFeatures);
    const { rank } = this.host;
    const shapes = { a: [rank, layer.inFeatures], b: [layer.outFeatures, rank] };
    const { computeDType } = this.device.profile;
    const a = this.#upload(layer.a, shapes.a, computeDType, `${path}.lora_A`);
    const b = this.#upload(layer.b, shapes.b, computeDType, `${path}.lora_B`);
    const binding = { rank, scale: adapterScale(this.host), a, b, gradients: null };
    if (!trainable) {
      this.#layers.set(path, { binding, parameters: null });
      return;
    }
    const isFloat32 = computeDType === 'float32';
    const parameters = {
      a: isFloat32 ? a : this.#upload(layer.a, shapes.a, 'float32', `${path}.lora_A.float32`),
      b: isFloat32 ? b : this.#upload(layer.b, shapes.b, 'float32', `${path}.lora_B.float32`),
    };
    const gradients = {
      a: this.#allocate(shapes.a, 'float32', `${path}.lora_A.gradient`),
      b: this.#allocate(shapes.b, 'float32', `${path}.lora_B.gradient`),
    };
    this.#layers.set(path, { binding: { ...binding, gradients }, parameters });
  }

  #upload(values: Float32Array, shape: readonly number[], dtype: 'float32' | 'bfloat16', label: string): Tensor {
    const tensor = this.#allocate(shape, dtype, label);
    this.device.upload(tensor, { bytes: bytesOf(values), dtype: 'float32' });
    return tensor;
  }

  #allocate(shape: readonly number[], dtype: 'float32' | 'bfloat16', label: string): Tensor {
    const tensor = this.device.allocate(shape, dtype, 'lora', label);
    this.#tensors.push(tensor);
    return tensor;
  }

  #assertFits(path: string, inFeatures: number, outFeatures: number): void {
    const linear = this.layout.linears.find(({ name }) => path.endsWith(`.${name}`));
    if (!linear || !this.#isPath(path)) throw new FinetuneError('FINETUNE_INVALID_OPTION', `the adapter's layer ${path} is no linear layer of this model`);
    if (linear.inFeatures !== inFeatures || linear.outFeatures !== outFeatures) {
      throw new FinetuneError(
        'FINETUNE_INVALID_OPTION',
        `the adapter's layer ${path} is ${outFeatures} x ${inFeatures}, the model's ${linear.outFeatures} x ${linear.inFeatures}`,
      );
    }
  }

  #isPath(path: string): boolean {
    for (let block = 0; block < this.layout.blockCount; block += 1) if (path.startsWith(`${this.layout.blockPath(block)}.`)) return true;
    return false;
  }

  #path(block: number, linear: string): string {
    return `${this.layout.blockPath(block)}.${linear}`;
  }
}

async function downloadFloat32(device: Device, tensor: Tensor): Promise<Float32Array> {
  const values = await device.download(tensor);
  if (!(values instanceof Float32Array)) throw new Error(`${tensor.label} is not float32`);
  return values;
}
