import type { Program, ProgramBuilder } from '@emloc/autograd';

import type { BlockDeclaration, HostTable, ModelLayout } from './layout.js';

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
  /** Default: none. */
  readonly tables?: readonly HostTable[];
  /** Prefixes of further tensors that the class of the folder leaves out. Default: none. */
  readonly ignored?: readonly string[];
  /** See ModelLayout.others, this and what follows. */
  readonly denied?: ModelLayout['others']['denied'];
  readonly targetsWithin?: string;
}
