import type { DiffusionLimits } from '../diffusion-limits.js';
import { layoutFrom, type BlockDeclaration, type ModelLayout } from '../layout.js';
import {
  conditioningProgram,
  doubleProgram,
  embeddingProgram,
  modulationProgram,
  outputProgram,
  singleProgram,
} from './programs.js';
import type { TransformerShape } from './shape.js';

const [doubles, singles] = ['transformer_blocks', 'single_transformer_blocks'];

/**
 * The chain of the transformer: what noise level, guidance and prompt make (its front), then latents
 * and prompts through double and single blocks to a mean of squares.
 */
export function transformerLayout(
  shape: TransformerShape,
  diffusion: DiffusionLimits,
): ModelLayout {
  const { doubleBlocks, singleBlocks } = shape;
  return layoutFrom({
    family: 'flux',
    ropes: new Map(),
    numbered: [
      { prefix: doubles, count: doubleBlocks, key: 'num_layers' },
      { prefix: singles, count: singleBlocks, key: 'num_single_layers' },
    ],
    others: { repeated: [], within: null },
    text: null,
    images: null,
    diffusion,
    blocks: [
      conditioning(shape),
      ...modulations(shape),
      whole('the embedders', 'embedders', embeddingProgram(shape)),
      ...list(doubleBlocks, (index) => block(doubles, index, doubleProgram(shape, index))),
      ...list(singleBlocks, (index) => block(singles, index, singleProgram(shape, index))),
      whole('the output', 'output', outputProgram(shape)),
    ],
  });
}

function conditioning(shape: TransformerShape): BlockDeclaration {
  const path = 'time_text_embed';
  return {
    name: 'the conditioning',
    path,
    page: path,
    program: conditioningProgram(shape),
    treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
    isFront: true,
  };
}

/** One for each block, and one for the output. */
function modulations(shape: TransformerShape): BlockDeclaration[] {
  const { doubleBlocks, singleBlocks } = shape;
  const of = (path: string, index: number, kind: 'double' | 'single' | 'output') => ({
    name: `the modulation of ${path}`,
    path: `modulation.${index}`,
    page: `modulation ${index}`,
    program: modulationProgram(shape, { index, kind }),
    checkpointName: (parameter: string) => `${path}.${parameter}`,
    linearPath: (linear: string) => `${path}.${linear}`,
    treatment: () => ({ adapted: 'whenNamed', emulated: 'whenNamed' }) as const,
    isFront: true,
  });
  return [
    ...list(doubleBlocks, (index) => of(`${doubles}.${index}`, index, 'double')),
    ...list(singleBlocks, (index) => of(`${singles}.${index}`, doubleBlocks + index, 'single')),
    of('norm_out', doubleBlocks + singleBlocks, 'output'),
  ];
}

/** Linears of the model itself, which have no path of a block before them. */
function whole(name: string, path: string, program: BlockDeclaration['program']): BlockDeclaration {
  return {
    name,
    path,
    page: path,
    program,
    checkpointName: (parameter) => parameter,
    linearPath: (linear) => linear,
    treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
  };
}

/** Of its linears, DreamBooth adapts all but a single block's feed-forward and output. */
function block(
  prefix: string,
  index: number,
  program: BlockDeclaration['program'],
): BlockDeclaration {
  const path = `${prefix}.${index}`;
  const unnamed = prefix === singles ? ['proj_mlp', 'proj_out'] : [];
  return {
    name: path,
    path,
    page: path,
    program,
    treatment: (linear) => ({
      adapted: unnamed.includes(linear) ? 'whenNamed' : 'byDefault',
      emulated: 'byDefault',
    }),
  };
}

function list<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index));
}
