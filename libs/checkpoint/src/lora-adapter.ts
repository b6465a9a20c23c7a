import { absenceOf } from './absent-modules.js';
import { CheckpointError, quoted } from './errors.js';
import { areWithin } from './within.js';

/** A (rank, in) and B (out, rank) of one linear layer, row-major. */
export interface LoraLayer {
  readonly a: Float32Array;
  readonly b: Float32Array;
  /** (out): DoRA's norm of each row of W + s · B A (arXiv 2402.09353); absent: plain LoRA. */
  readonly magnitude?: Float32Array;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Where they differ from the adapter's own. */
  readonly rank?: number;
  readonly alpha?: number;
}

/**
 * A LoRA adapter in host memory: y += s · (x Aᵀ) Bᵀ for each adapted linear layer, or, where the
 * layers have magnitudes, DoRA.
 */
export interface LoraAdapter {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  /** Probability of dropout on what A saw in training, for the record. Default: 0 */
  readonly dropout?: number;
  /** What was asked for; `layers` says what is adapted. */
  readonly targetModules: readonly string[];
  /** Name of the base model, as on a model hub. */
  readonly baseModel?: string;
  /** Commit of the base model under that name. */
  readonly baseRevision?: string;
  /** By module path, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly layers: ReadonlyMap<string, LoraLayer>;
}

/** The linear layers that a model has, by module path. */
export type LinearModules = ReadonlyMap<
  string,
  { readonly inFeatures: number; readonly outFeatures: number }
>;

/** s = alpha / rank, or alpha / √rank with rsLoRA (arXiv 2312.03732). */
export function adapterScale({
  alpha,
  rank,
  useRslora,
}: Pick<LoraAdapter, 'alpha' | 'rank' | 'useRslora'>): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/** Whether an adapter is DoRA: all of its layers have magnitudes, or none has. */
export function isDora({ layers }: Pick<LoraAdapter, 'layers'>): boolean {
  for (const { magnitude } of layers.values()) if (magnitude !== undefined) return true;
  return false;
}

/** What is trained of a layer: A, B and, of DoRA, the magnitude. */
export function layerParameters({
  a,
  b,
  magnitude,
}: Pick<LoraLayer, 'a' | 'b' | 'magnitude'>): readonly Float32Array[] {
  return magnitude ? [a, b, magnitude] : [a, b];
}

/** Rank of one layer of an adapter. */
export function layerRank({ rank }: Pick<LoraAdapter, 'rank'>, layer: LoraLayer): number {
  return layer.rank ?? rank;
}

/** s of one layer of an adapter. */
export function layerScale(adapter: LoraAdapter, layer: LoraLayer): number {
  const { alpha = adapter.alpha } = layer;
  return adapterScale({ alpha, rank: layerRank(adapter, layer), useRslora: adapter.useRslora });
}

/**
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID when numbers, sizes or values of an adapter
 * make no sense.
 */
export function assertAdapter(adapter: LoraAdapter): void {
  const { layers } = adapter;
  assertNumbers(adapter, '');
  if (layers.size === 0) throw invalid('no layer is adapted');
  const withMagnitudes = isDora(adapter);
  for (const [path, layer] of layers) {
    const { alpha = adapter.alpha } = layer;
    assertNumbers({ rank: layerRank(adapter, layer), alpha }, `layer ${quoted(path)}: `);
    assertLayer(path, layer, layerRank(adapter, layer));
    if ((layer.magnitude !== undefined) !== withMagnitudes)
      throw invalid(`layer ${quoted(path)} has no magnitude, as others have`);
  }
}

function assertNumbers({ rank, alpha }: Pick<LoraAdapter, 'rank' | 'alpha'>, where: string): void {
  if (!Number.isSafeInteger(rank) || rank <= 0)
    throw invalid(`${where}rank ${rank} is not a positive integer`);
  if (!Number.isFinite(alpha)) throw invalid(`${where}alpha ${alpha} is not a number`);
}

/**
 * @throws CheckpointError CHECKPOINT_ADAPTER_MISMATCH when a layer is absent from the model or of
 * another size.
 */
export function assertFitsModel(
  { layers }: { readonly layers: LinearModules },
  linearModules: LinearModules,
): void {
  for (const [path, { inFeatures, outFeatures }] of layers) {
    const linear = linearModules.get(path);
    if (!linear)
      throw new CheckpointError(
        'CHECKPOINT_ADAPTER_MISMATCH',
        `the adapter's layer ${quoted(path)} is no linear layer of this model${absenceOf(path, linearModules)}`,
      );
    if (linear.inFeatures !== inFeatures || linear.outFeatures !== outFeatures) {
      throw new CheckpointError(
        'CHECKPOINT_ADAPTER_MISMATCH',
        `the adapter's layer ${quoted(path)} is ${outFeatures} x ${inFeatures}, the model's ${linear.outFeatures} x ${linear.inFeatures}`,
      );
    }
  }
}

function assertLayer(path: string, layer: LoraLayer, rank: number): void {
  const { a, b, magnitude, inFeatures, outFeatures } = layer;
  if (a.length !== rank * inFeatures)
    throw invalid(
      `layer ${quoted(path)}: A has ${a.length} values, rank ${rank} x ${inFeatures} inputs needs ${rank * inFeatures}`,
    );
  if (b.length !== outFeatures * rank)
    throw invalid(
      `layer ${quoted(path)}: B has ${b.length} values, ${outFeatures} outputs x rank ${rank} needs ${outFeatures * rank}`,
    );
  if (magnitude && magnitude.length !== outFeatures)
    throw invalid(
      `layer ${quoted(path)}: the magnitude has ${magnitude.length} values, there are ${outFeatures} outputs`,
    );
  if (!layerParameters(layer).every((values) => areWithin(values, Number.MAX_VALUE)))
    throw invalid(`layer ${quoted(path)} has values that are not finite`);
}

function invalid(reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', `adapter: ${reason}`);
}
