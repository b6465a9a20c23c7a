import type { Program } from '@emloc/autograd';
import { at } from '@emloc/checked';

import { diffusionStreams } from './flux/streams.js';
import { lossBlock, type ModelLayout } from './layout.js';

/**
 * A model that makes images, or what is left of one, without its loss: the chain gives what the
 * loss would compare, and batches bring no target and no weights. Pages are the same.
 */
export function predictionLayout(layout: ModelLayout): ModelLayout {
  const last = lossBlock(layout);
  return {
    ...layout,
    blocks: [...layout.blocks.slice(0, -1), { ...last, program: withoutLoss(last.program) }],
  };
}

function withoutLoss(program: Program): Program {
  const loss = program.operations.find(({ isLoss }) => isLoss);
  if (!loss) throw new Error('the chain ends in no loss');
  const left: readonly string[] = [diffusionStreams.target, diffusionStreams.weight];
  return Object.freeze({
    ...program,
    inputs: new Map([...program.inputs].filter(([stream]) => !left.includes(stream))),
    operations: program.operations.filter((operation) => operation !== loss),
    outputs: new Map([[diffusionStreams.prediction, at(loss.inputs, 0)]]),
  });
}
