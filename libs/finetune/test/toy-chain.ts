import {
  activation,
  add,
  attention,
  embedding,
  gatedAdd,
  gatherRows,
  joinRows,
  layerNorm,
  linear,
  modulate,
  mseLoss,
  ProgramBuilder,
  splitColumns,
} from '@emloc/autograd';
import { at, get } from '@emloc/checked';
import { Device, MemoryBudget } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';
import {
  layoutFrom,
  type Batch,
  type BatchShape,
  type BlockDeclaration,
  type ModelLayout,
  type RowSource,
} from '@emloc/models';
import type { LayerSource } from '@emloc/weight-pager';

const [width, pixelWidth, entries] = [8, 6, 10];

/** Smooth values without symmetry. */
function seeded(name: string, size: number, scale: number): Float32Array {
  const seed = [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 997, 7);
  return Float32Array.from(
    { length: size },
    (_, index) => scale * Math.sin(12.9898 * (index + 1) + 78.233 * seed + 0.1 * index * seed),
  );
}

/** Patches of an image through two layers, as a vision tower has them. */
function tower(): BlockDeclaration[] {
  const first = new ProgramBuilder();
  const pixels = first.input('pixels', pixelWidth, 'patches');
  const embedded = linear(first, pixels, { name: 'embed', outFeatures: width, bias: true });
  const second = new ProgramBuilder();
  const x = second.input('image', width, 'patches');
  const normed = layerNorm(second, x, { epsilon: 1e-5, weight: 'norm.weight', bias: 'norm.bias' });
  const fused = linear(second, normed, { name: 'qkv', outFeatures: 3 * width });
  const [q, k, v] = splitColumns(second, fused, { widths: [width, width, width] });
  if (!q || !k || !v) throw new Error('three parts expected');
  const mask = { kind: 'none' } as const;
  const seen = attention(second, { q, k, v, heads: 2, kvHeads: 2, scale: 0.5, mask });
  return [
    {
      name: 'tower.0',
      path: 'tower.0',
      page: 'tower.0',
      isFront: true,
      program: first.build({ image: activation(first, embedded, 'gelu') }),
    },
    {
      name: 'tower.1',
      path: 'tower.1',
      page: 'tower.1',
      isFront: true,
      program: second.build({ image: add(second, x, seen) }),
    },
  ];
}

/** Words and patches in one sequence, modulated by a stream with one row a sample. */
function trunk(): BlockDeclaration[] {
  const words = new ProgramBuilder();
  const looked = embedding(words, {
    table: 'words.weight',
    entries,
    width,
    indices: 'ids',
    rows: 'words',
  });
  const image = words.input('image', width, 'patches');
  const parts = [
    { value: image, indices: 'imageRows' },
    { value: looked, indices: 'wordRows' },
  ];
  const layer = new ProgramBuilder();
  const x = layer.input('hidden', width, 'all');
  const vec = layer.input('vec', width, 'samples');
  const modulation = linear(layer, activation(layer, vec, 'silu'), {
    name: 'modulation',
    outFeatures: 3 * width,
    bias: true,
  });
  const [scale, shift, gate] = splitColumns(layer, modulation, { widths: [width, width, width] });
  if (!scale || !shift || !gate) throw new Error('three parts expected');
  const normed = layerNorm(layer, x, { epsilon: 1e-5, weight: null, bias: null });
  const modulated = modulate(layer, normed, { scale, shift });
  const [q, k] = ['q', 'k'].map((name) => linear(layer, modulated, { name, outFeatures: width }));
  if (!q || !k) throw new Error('two parts expected');
  const v = linear(layer, modulated, { name: 'v', outFeatures: width });
  const mask = { kind: 'none' } as const;
  const seen = attention(layer, { q, k, v, heads: 2, kvHeads: 2, scale: 0.5, mask });
  const out = gatedAdd(layer, x, {
    x: linear(layer, seen, { name: 'o', outFeatures: width }),
    gate,
  });
  const program = layer.build({ hidden: out });
  const head = new ProgramBuilder();
  const hidden = head.input('hidden', width, 'all');
  const target = head.input('wanted', 4, 'patches');
  const ofImage = gatherRows(head, hidden, { indices: 'imageRows', rows: 'patches' });
  mseLoss(head, { prediction: linear(head, ofImage, { name: 'out', outFeatures: 4 }), target });
  return [
    {
      name: 'words',
      path: 'words',
      page: 'words',
      program: words.build({ hidden: joinRows(words, parts, 'all') }),
    },
    ...[0, 1].map((index) => ({
      name: `layers.${index}`,
      path: `layers.${index}`,
      page: `layers.${index}`,
      program,
    })),
    { name: 'head', path: 'head', page: 'head', program: head.build({}) },
  ];
}

/** Patches through a frozen tower, joined with words, to a mean of squares. */
export function toyLayout(): ModelLayout {
  return layoutFrom({
    family: 'toy',
    blocks: [...tower(), ...trunk()],
    ropes: new Map(),
    numbered: [{ prefix: 'layers', count: 2, key: 'layers' }],
    others: { repeated: [], within: null },
    text: { vocabularySize: entries, maxPositions: 64 },
    images: null,
    diffusion: null,
  });
}

/** Its weights, made where they are read; counts the reads of each page. */
export function toySource({ pages }: ModelLayout): LayerSource & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    layers: pages.map(({ name, tensors }) => ({
      name,
      tensors: tensors.map((tensor) => ({
        name: tensor.name,
        shape: tensor.shape,
        dtype: 'float32' as const,
      })),
    })),
    read: (layer, tensor, destination) => {
      const page = at(pages, layer);
      reads.push(page.name);
      const size = destination.byteLength / 4;
      const isNorm = tensor === 'norm.weight';
      const values = seeded(`${page.name} ${tensor}`, size, isNorm ? 0.1 : 0.4);
      if (isNorm) values.forEach((value, index) => (values[index] = 1 + value));
      destination.set(new Uint8Array(values.buffer));
      return Promise.resolve();
    },
  };
}

/** Samples of so many patches, and words that stand before and after them. */
export class ToyRows implements RowSource {
  /** By the numbers of their rows. */
  readonly loaded: (readonly number[])[] = [];
  readonly #sizes = [
    { patches: 4, words: 3 },
    { patches: 2, words: 5 },
    { patches: 6, words: 1 },
    { patches: 3, words: 2 },
  ];

  get count(): number {
    return this.#sizes.length;
  }

  shape(rows: readonly number[]): BatchShape {
    const sizes = rows.map((row) => at(this.#sizes, row));
    const [patches, words] = [sizes.map((size) => size.patches), sizes.map((size) => size.words)];
    const [patchCount, wordCount] = [sum(patches), sum(words)];
    return {
      layouts: new Map([
        ['patches', offsetsOf(patches)],
        ['words', offsetsOf(words)],
        ['all', offsetsOf(sizes.map((size) => size.patches + size.words))],
        ['samples', [0, rows.length]],
      ]),
      integers: new Map([
        ['ids', wordCount],
        ['wordRows', wordCount],
        ['imageRows', patchCount],
      ]),
      values: new Map([
        ['pixels', { rows: 'patches', width: pixelWidth }],
        ['wanted', { rows: 'patches', width: 4 }],
        ['vec', { rows: 'samples', width }],
      ]),
      lossWeight: patchCount,
      items: rows.length,
    };
  }

  load(rows: readonly number[]): Promise<Batch> {
    this.loaded.push(rows);
    const sizes = rows.map((row) => at(this.#sizes, row));
    const [ids, wordRows, imageRows]: [number[], number[], number[]] = [[], [], []];
    let start = 0;
    for (const [index, { patches, words }] of sizes.entries()) {
      for (let word = 0; word < words; word += 1) {
        ids.push((7 * at(rows, index) + 3 * word + 1) % entries);
        // The first word stands before the patches, the others after them.
        wordRows.push(start + (word === 0 ? 0 : patches + word));
      }
      for (let patch = 0; patch < patches; patch += 1) imageRows.push(start + 1 + patch);
      start += patches + words;
    }
    const ofRows = (name: string, columns: number, count: (row: number) => number): Uint8Array =>
      Buffer.concat(
        rows.map((row) => Buffer.from(seeded(`${name} ${row}`, columns * count(row), 1).buffer)),
      );
    const patchesOf = (row: number): number => at(this.#sizes, row).patches;
    const integers = { ids, wordRows, imageRows };
    return Promise.resolve({
      shape: this.shape(rows),
      integers: new Map(
        Object.entries(integers).map(([name, values]) => [name, Int32Array.from(values)]),
      ),
      values: new Map([
        ['pixels', { bytes: ofRows('pixels', pixelWidth, patchesOf), dtype: 'float32' }],
        ['wanted', { bytes: ofRows('wanted', 4, patchesOf), dtype: 'float32' }],
        ['vec', { bytes: ofRows('vec', width, () => 1), dtype: 'float32' }],
      ]),
    });
  }
}

export function openDevice(): Device {
  return new Device(createCpuBackend(), new MemoryBudget(2 ** 28));
}

/** An adapter of rank 2 on linears of a layout, with values that move every gradient. */
export function toyAdapter({ linears }: ModelLayout, paths: readonly string[]) {
  const layers = new Map(
    paths.map((path) => {
      const { inFeatures, outFeatures } = get(
        new Map(linears.map((each) => [each.path, each])),
        path,
      );
      const a = seeded(`${path} a`, 2 * inFeatures, 0.4);
      const b = seeded(`${path} b`, 2 * outFeatures, 0.4);
      return [path, { a, b, inFeatures, outFeatures }] as const;
    }),
  );
  return { rank: 2, alpha: 3, useRslora: false, targetModules: [], layers };
}

function offsetsOf(lengths: readonly number[]): number[] {
  return [0, ...lengths.map((_, index) => sum(lengths.slice(0, index + 1)))];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
