import type { BlockProgram } from '@emloc/autograd';

import type { ConfigReader } from './config.js';

/** A linear layer of a block. Those of equal `group` read the same input. */
export interface LinearSpec {
  /** Module path within the block, e.g. `self_attn.q_proj`. */
  readonly name: string;
  readonly group: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

export interface UnitTensorSpec {
  /** Name within the unit, e.g. `self_attn.q_proj.weight`. */
  readonly name: string;
  /** Name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly checkpointName: string;
  readonly shape: readonly number[];
}

/** A group of weights that moves as one: the embedding, a block, or the head. */
export interface UnitSpec {
  readonly name: string;
  readonly tensors: readonly UnitTensorSpec[];
}

/**
 * Everything the engines know of a model. Blocks are alike: one program, one list of linear layers.
 */
export interface ModelLayout {
  readonly family: string;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly blockCount: number;
  readonly maxPositions: number;
  readonly tiedHead: boolean;
  readonly rope: { readonly theta: number; readonly headDim: number };
  readonly finalNorm: { readonly tensor: string; readonly epsilon: number };
  readonly program: BlockProgram;
  readonly linears: readonly LinearSpec[];
  readonly units: readonly UnitSpec[];
  readonly embedUnit: number;
  /**
   * The unit with the final norm and the LM head; the embedding's own where they share the weight.
   */
  readonly headUnit: number;
  readonly embedTensor: string;
  /** Module path of the LM head in the checkpoint, also where it shares the embedding's weight. */
  readonly headPath: string;
  readonly headTensor: string;
  blockUnit(block: number): number;
  /** Module path of a block in the checkpoint, e.g. `model.layers.3`. */
  blockPath(block: number): string;
}

/** Every linear layer of the blocks by its module path in the checkpoint, in the model's order. */
export function linearModules(layout: ModelLayout): ReadonlyMap<string, LinearSpec> {
  const modules = new Map<string, LinearSpec>();
  for (let block = 0; block < layout.blockCount; block += 1) {
    for (const linear of layout.linears)
      modules.set(`${layout.blockPath(block)}.${linear.name}`, linear);
  }
  return modules;
}

/**
 * Everything that an adapter which was made elsewhere may adapt: the blocks' linear layers and the
 * LM head.
 */
export function adaptableModules(
  layout: ModelLayout,
): ReadonlyMap<string, Pick<LinearSpec, 'inFeatures' | 'outFeatures'>> {
  const { hiddenSize: inFeatures, vocabularySize: outFeatures, headPath } = layout;
  const modules = new Map<string, Pick<LinearSpec, 'inFeatures' | 'outFeatures'>>(
    linearModules(layout),
  );
  return modules.set(headPath, { inFeatures, outFeatures });
}

/** One family of architectures: reads a config and says what the model is made of. */
export interface ModelFamily {
  readonly name: string;
  /** Values of `architectures[0]` in config.json. */
  readonly architectures: readonly string[];
  /** @throws ModelError naming any key whose value would change the result and is not supported. */
  layout(config: ConfigReader): ModelLayout;
}
