import { fluxShape } from './flux-shape.js';
import { defaultShape, gpuShapes } from './gpu-shapes.js';

/** Of `bench gpu`. */
export const help = `usage: bench gpu [--rows train,short,varied,paged,factors,generate,identity] [--steps 12] [--paged-rows 2,4,8] [--device cuda:1] [--no-wgmma] [--no-graphs] [--profile] [--json FILE]
                 [--torch FILE] [--ratio 0.4] [--storage int8|nf4] [--factors auto|exact|fast] [--rank 8] [--vram SIZE] [--shape ${defaultShape}]
       bench gpu --shape ${fluxShape} [--size 512] [--rows train,paged,sample] [--ratio 0.45] [--rank 4] [--paged-rows 4] [--steps 12] ...
Trains and factorises at the shape of a model (random weights, nothing on disk), by default one of 7.6 B on a card of 24 GB or more, and prints a table.
  train    LoRA on an emulator, 2 x 1024 tokens a step, the peak below 14.45 GiB (without the driver's context)
  short    the same of 16 tokens a step, which shows what launching costs
  varied   the same of 8 texts of varied lengths, some 600 tokens a step, at ratio 0.25 and --ratio: rounded up to few sizes, which are launched as
           graphs, and without; 60 steps or more
  paged    LoRA on the full model, its blocks streamed from page-locked memory within 14 GiB, at each number of rows of 1024 tokens
  factors  from a block's statistics to its factors
  generate greedy answers of 128 tokens to prompts of 512, one and 16 at a time, all weights on the card, and a quarter of them
  identity whether a smaller model trains to the same bits twice, with its blocks paged within a third of the memory, and without graphs
  --shape    one of ${[...gpuShapes.keys()].join(', ')}; all but the first train and page within what
             inference takes (bfloat16 weights and a prefill of 2048 tokens, the driver's context included), and identity pages within
             the least that it can work in
  ${fluxShape} trains on one image of 512 x 512 (--size) within 16 GiB (larger ones: 22), on the paged model within 16 GiB on several
             images together, and runs one forward of sampling with all weights on the card
  --storage  holds weights and factors of train, short, varied, paged and identity in blocks of codes (default: as they are)
  --vram     what train and paged may take, the driver's context included, in place of the above
  --no-wgmma attention on a Hopper card does not take the kernels for it
  --no-graphs launches are made one by one, also those of a step that came before
  --profile  also times every kind of launch of a step
  --torch    the file that bench_torch.py --json wrote on the same machine, at the default shape (bench_flux_torch.py: at ${fluxShape}): its rows
             come beside ours
`;
