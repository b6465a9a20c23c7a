import { add, attention, linear, mseLoss, ProgramBuilder, type Program } from '@emloc/autograd';
import { layoutFrom, type BlockDeclaration, type ModelLayout } from '@emloc/models';

const [width, pixelWidth, rows] = [8, 6, 'patches'];
const heads = { heads: 2, kvHeads: 1, scale: 0.5 };

/** Attention whose keys and values later blocks read, too. */
function source(): Program {
  const block = new ProgramBuilder();
  const x = block.input('hidden', width, rows);
  const project = (name: string, outFeatures: number) => linear(block, x, { name, outFeatures });
  const [q, keys, values] = [project('q', width), project('k', 4), project('v', 4)];
  const seen = attention(block, {
    ...{ q, k: keys, v: values, ...heads },
    cache: { name: 'keys', isWritten: true },
  });
  return block.build({ hidden: add(block, x, seen), keys, values });
}

/** Attention to what another block made. */
function reader(): Program {
  const block = new ProgramBuilder();
  const x = block.input('hidden', width, rows);
  const [k, v] = [block.input('keys', 4, rows), block.input('values', 4, rows)];
  const q = linear(block, x, { name: 'q', outFeatures: width });
  const cache = { name: 'keys', isWritten: false };
  const seen = attention(block, { q, k, v, ...heads, cache });
  return block.build({ hidden: add(block, x, seen) });
}

/** Passes the keys on, and changes the rows. */
function passing(): Program {
  const block = new ProgramBuilder();
  const x = block.input('hidden', width, rows);
  const keys = block.input('keys', 4, rows);
  const changed = linear(block, x, { name: 'change', outFeatures: width });
  return block.build({ hidden: add(block, x, changed), keys });
}

/** A chain with streams of one writer and several readers, which ToyRows feed. */
export function sharedLayout(): ModelLayout {
  const embed = new ProgramBuilder();
  const pixels = embed.input('pixels', pixelWidth, rows);
  const embedded = linear(embed, pixels, { name: 'embed', outFeatures: width });
  const head = new ProgramBuilder();
  const hidden = head.input('hidden', width, rows);
  const target = head.input('wanted', 4, rows);
  mseLoss(head, { prediction: linear(head, hidden, { name: 'out', outFeatures: 4 }), target });
  const programs = { embed: embed.build({ hidden: embedded }), source: source() };
  const readers = { first: reader(), passing: passing(), second: reader() };
  const blocks = Object.entries({ ...programs, ...readers, head: head.build({}) });
  return layoutFrom({
    family: 'toy',
    blocks: blocks.map(([name, program]): BlockDeclaration => {
      return { name, path: name, page: name, program };
    }),
    ropes: new Map(),
    numbered: [],
    others: { repeated: [], within: null },
    text: null,
    images: null,
    diffusion: null,
  });
}
