import { at } from '@emloc/checked';
import type { DeviceProfile } from '@emloc/device';
import { emulatorRank } from '@emloc/emulator';
import {
  factorNames,
  layoutOf,
  overlaySource,
  type LinearSpec,
  type ModelLayout,
} from '@emloc/models';
import type { LayerSource, TensorSpec } from '@emloc/weight-pager';

/** The Qwen2.5-7B shape: 7.6 B parameters, 15.2 GB in bfloat16. */
const shape7b = {
  architectures: ['Qwen2ForCausalLM'],
  hidden_size: 3584,
  intermediate_size: 18_944,
  num_hidden_layers: 28,
  num_attention_heads: 28,
  num_key_value_heads: 4,
  vocab_size: 152_064,
  max_position_embeddings: 32_768,
  rope_parameters: { rope_type: 'default', rope_theta: 1e6 },
  rms_norm_eps: 1e-6,
};

const patternElements = 2 ** 20;

/** A model of random weights that are made where they are read: nothing on disk. */
export interface SyntheticModel {
  readonly layout: ModelLayout;
  readonly original: LayerSource;
  /** Mathematical and stored rank of a linear layer's factors. */
  rankOf(linear: LinearSpec): { readonly rank: number; readonly paddedRank: number };
  /** The original with factors in place of the blocks' weights. */
  readonly emulator: LayerSource;
}

/**
 * @param ratio of the emulator;
 * @param blocks fewer than the shape has, for one that takes less time
 */
export function syntheticModel({
  ratio,
  profile,
  blocks = 28,
}: {
  ratio: number;
  profile: DeviceProfile;
  blocks?: number;
}): SyntheticModel {
  const layout = layoutOf({ ...shape7b, num_hidden_layers: blocks });
  const rankOf = ({ inFeatures, outFeatures }: LinearSpec) => {
    const rank = emulatorRank(ratio, inFeatures, outFeatures);
    return { rank, paddedRank: Math.ceil(rank / profile.rankMultiple) * profile.rankMultiple };
  };
  const weights = randomWeights(layout);
  const original: LayerSource = {
    layers: layout.units.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map((tensor): TensorSpec => ({
        name: tensor.name,
        shape: tensor.shape,
        dtype: 'bfloat16',
      })),
    })),
    read: weights,
  };
  const factors = layout.linears.flatMap((linear): TensorSpec[] => {
    const { paddedRank } = rankOf(linear);
    const { u, v } = factorNames(linear.name);
    return [
      { name: u, shape: [linear.outFeatures, paddedRank], dtype: 'bfloat16' },
      { name: v, shape: [paddedRank, linear.inFeatures], dtype: 'bfloat16' },
    ];
  });
  const removes = new Set(layout.linears.map(({ name }) => `${name}.weight`));
  const overlays = new Map(
    Array.from({ length: blocks }, (_, block) => {
      const unit = layout.blockUnit(block);
      return [
        unit,
        {
          removes,
          adds: factors,
          read: (tensor: string, destination: Uint8Array) => weights(unit, tensor, destination),
        },
      ] as const;
    }),
  );
  return { layout, original, rankOf, emulator: overlaySource(original, overlays) };
}

/**
 * Normal values of standard deviation 0.02 (0.03 for U, so that U V is near that); norms are ones.
 */
function randomWeights(layout: ModelLayout): LayerSource['read'] {
  const patterns = { narrow: normalPattern(0.02), wide: normalPattern(0.03) };
  const units = layout.units.map(({ name }) => name);
  return (layer, tensor, destination) => {
    const target = new Uint16Array(
      destination.buffer,
      destination.byteOffset,
      destination.byteLength / 2,
    );
    if (tensor.endsWith('norm.weight')) target.fill(0x3f80);
    else
      repeat(
        tensor.endsWith('.u') ? patterns.wide : patterns.narrow,
        target,
        (layer * 7919 + tensor.length * 104_729 + at(units, layer).length) % 65_536,
      );
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
