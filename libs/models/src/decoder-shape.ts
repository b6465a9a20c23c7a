import type { ProgramBuilder } from '@emloc/autograd';
import type { HostDType } from '@emloc/device';

type Value = ReturnType<ProgramBuilder['value']>;

/** Frequencies of a rotary table. */
export interface RopeFrequencies {
  /** Inverse frequencies of the rotated pairs, float32 (rotaryDim / 2). */
  readonly inverse: Float32Array;
  /** Factor on cos and sin. */
  readonly factor: number;
  /** A further factor on cos and sin by position, where there is one (ministral3's queries). */
  readonly positionFactor?: (position: number) => number;
}

/** One rotary table of a model, by name in its decoder layers. */
export interface RopeSpec {
  /** How many of a head's first elements rotate; even. */
  readonly rotaryDim: number;
  /** Which two elements make a pair: i with i + rotaryDim / 2, or 2i with 2i + 1. */
  readonly pairs: 'halves' | 'adjacent';
  /**
   * The frequencies for a job whose longest row has `length` tokens.
   * @throws ModelError where rows of this length are not supported
   */
  frequencies(length: number): RopeFrequencies;
}

/** What mixes the rows of a sequence in a layer. */
interface Mixer {
  /** Its name among the model's. */
  readonly kind: string;
  /** @param x the layer's normed input; the result is as wide */
  readonly mix: (block: ProgramBuilder, x: Value, place: MixerPlace) => Value;
}

/** Where a mixer is. */
export interface MixerPlace {
  readonly shape: DecoderShape;
  readonly layer: DecoderLayer;
}

/**
 * What tells one decoder layer from another of the same model: layers of equal JSON share their
 * program.
 */
export interface DecoderLayer {
  /**
   * Names in `DecoderShape.ropes`; null: no rotation. `query` and `key` differ for ministral3 only.
   */
  readonly rope: { readonly query: string; readonly key: string } | null;
  /** Rows that attention sees, the row itself among them; null: all before it. */
  readonly window: number | null;
  /** The family's own. Default: attention. */
  readonly mixer?: Mixer;
}

/** What tells one dense decoder from another; every number is read from config.json. */
export interface DecoderShape {
  readonly family: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly maxPositions: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  readonly layers: readonly DecoderLayer[];
  readonly ropes: ReadonlyMap<string, RopeSpec>;
  readonly tiedHead: boolean;
  readonly bias: {
    readonly qkv: boolean;
    readonly output: boolean;
    readonly mlp: boolean;
  };
  /** Root mean squares of q and k: of none, each head, or the whole projection. */
  readonly qkNorm: 'none' | 'head' | 'projection';
  /** Whether σ of a gate multiplies attention's result; q's rows are q and gate, head by head. */
  readonly attentionGate: boolean;
  /** Added to the norms' weights: 1 in Gemma. */
  readonly normOffset: 0 | 1;
  /** Names of the block's norms without `.weight`; null: there is none. */
  readonly norms: {
    readonly attentionInput: string | null;
    readonly attentionOutput: string | null;
    readonly mlpInput: string | null;
    readonly mlpOutput: string | null;
  };
  /** Factor on the scores. */
  readonly attentionScale: number;
  /** c of c · tanh(score / c); null: none. */
  readonly scoreCap: number | null;
  readonly activation: 'silu' | 'gelu' | 'geluTanh';
  /** Names of the linears within a block; fused ones are one linear with several outputs. */
  readonly linears: {
    /**
     * Separate: three names. Fused: rows are q, k, v one after another, or by key head (its query
     * heads, k, v).
     */
    readonly qkv:
      | { readonly kind: 'separate'; readonly q: string; readonly k: string; readonly v: string }
      | { readonly kind: 'fused'; readonly name: string; readonly rows: 'contiguous' | 'grouped' };
    readonly output: string;
    readonly gateUp:
      | { readonly kind: 'separate'; readonly gate: string; readonly up: string }
      | { readonly kind: 'fused'; readonly name: string };
    readonly down: string;
  };
  /** Linears of a block that are neither adapted nor emulated unless a pattern names them. */
  readonly onlyWhenNamed: readonly string[];
  /**
   * Factor on the embedding; 1: none. Gemma's is rounded to the dtype that the embedding's weight
   * has in the run.
   */
  embeddingFactor(weight: HostDType): number;
  /** Factors on each branch before it is added, and on the logits; 1: none. */
  readonly residualFactor: number;
  readonly logitFactor: number;
  /** c of c · tanh(logit / c), after the factor; null: none. */
  readonly logitCap: number | null;
  /**
   * Names in checkpoints: those count whose embedding is there. Wrappers around a language model
   * have had several.
   */
  readonly names: readonly DecoderNames[];
  /** Prefixes of tensors that the class which opens the folder leaves out. */
  readonly ignored: readonly string[];
  /** Module paths in the class that opens the folder: what PEFT's keys are made of. */
  readonly modules: {
    /** A block's path is `${layers}.${index}` */
    readonly layers: string;
    readonly head: string;
  };
  /** What whoever loads its adapters elsewhere should know, for people. */
  readonly adapterNotice?: string;
}

/** Names of a decoder's parts in a checkpoint. */
export interface DecoderNames {
  /** e.g. `model.embed_tokens` */
  readonly embedding: string;
  /** e.g. `model.layers`; a block's path is `${layers}.${index}` */
  readonly layers: string;
  /** e.g. `model.norm` */
  readonly norm: string;
  /** e.g. `lm_head` */
  readonly head: string;
  /** Module around the decoder, beside which are others' tensors, e.g. `language_model`. */
  readonly within?: string;
}
