import type { Program, ProgramBuilder } from '@emloc/autograd';

import type { BlockDeclaration, HostTable } from './layout.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** What models have in place of a plain decoder's parts, and beside them. */
export interface ChainParts {
  /** What becomes of the embedded tokens before the first layer. Default: nothing. */
  readonly place?: (block: ProgramBuilder, embedded: Value) => Value;
  /** Blocks between the embedding and the first layer. Default: none. */
  readonly between?: readonly BlockDeclaration[];
  /**
   * The program of a layer, by its index; layers of equal JSON share it. It reads and writes the
   * stream `hidden`. Default: layerProgram.
   */
  readonly program?: (index: number) => Program;
  /** Of the linears of layers. Default: both by default. */
  readonly treatment?: BlockDeclaration['treatment'];
  /** Default: none. */
  readonly tables?: readonly HostTable[];
  /** Names of tensors in checkpoints that the model's class leaves out. Default: none. */
  readonly unread?: readonly string[];
}
