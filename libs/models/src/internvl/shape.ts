import type { ActivationKind } from '@emloc/device';

/** What tells one tower and projector from another; every number is read from config.json. */
export interface VisionShape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** Blocks that are run: those up to the layer whose output is wanted. */
  readonly blocks: number;
  /** Of the blocks; q and k are always normed by their root mean squares. */
  readonly norm: 'layerNorm' | 'rmsNorm';
  readonly epsilon: number;
  readonly qkvBias: boolean;
  readonly qkNorm: boolean;
  /** Of the norms of q and k. */
  readonly qkEpsilon: number;
  readonly activation: ActivationKind;
  /** Pixels of a patch's side. */
  readonly patchSize: number;
  /** Patches of a tile's side. */
  readonly gridSize: number;
  /** Patches of a side of the square that becomes one row of the projector. */
  readonly shuffleSize: number;
  readonly projectorActivation: ActivationKind;
}

/** Names of a tower's and a projector's parts, in their modules. */
export interface VisionNames {
  readonly classTable: string;
  readonly patches: string;
  readonly positions: string;
  /** A block's path is `${layers}.${index}`. */
  readonly layers: string;
  readonly norm1: string;
  readonly norm2: string;
  readonly scale1: string;
  readonly scale2: string;
  readonly qkv:
    | { readonly kind: 'fused'; readonly name: string }
    | { readonly kind: 'separate'; readonly q: string; readonly k: string; readonly v: string };
  readonly qNorm: string;
  readonly kNorm: string;
  readonly output: string;
  readonly fc1: string;
  readonly fc2: string;
  readonly projector: {
    readonly norm: string;
    readonly linear1: string;
    readonly linear2: string;
  };
}

/** Paths of the two modules: in the class that opens a folder, or in its checkpoint. */
export interface VisionPaths {
  readonly tower: string;
  readonly projector: string;
}
