import type { LinearSpec, Program } from '@emloc/autograd';
import { at } from '@emloc/checked';

import type { RopeSpec } from './decoder-shape.js';
import type { DiffusionLimits } from './diffusion-limits.js';
import type { ImageLimits } from './image-limits.js';

/** A tensor of a page. */
export interface PageTensor {
  /** Name within the page, e.g. `self_attn.q_proj.weight`. */
  readonly name: string;
  /** Name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly checkpointName: string;
  readonly shape: readonly number[];
  /** In the checkpoint, where it is another one of as many elements. */
  readonly storedShape?: readonly number[];
  /** On the device. Default: its compute dtype. */
  readonly deviceDType?: 'float32';
}

/** Weights that move between disk, host and device as one. */
export interface Page {
  readonly name: string;
  readonly tensors: readonly PageTensor[];
}

/** An element of the chain: a program and the page with its tensors. */
export interface Block {
  /** Place in the chain. */
  readonly index: number;
  /** For people, e.g. `the embedding`, `model.layers.3`. */
  readonly name: string;
  /** Module path, e.g. `model.layers.3`. */
  readonly path: string;
  /** Shared by blocks of one kind. */
  readonly program: Program;
  /** Index of its page, which it may share with other blocks. */
  readonly page: number;
  /** By the program's parameter: the page's tensor. */
  readonly tensors: ReadonlyMap<string, string>;
  /**
   * Whether its streams for a row are worth keeping instead of being made at every step, where
   * neither it nor a block before it is trained or emulated.
   */
  readonly isFront: boolean;
}

/** Where jobs adapt and emulate a linear: by default, where a pattern names it, or never. */
interface Treatment {
  readonly adapted: 'byDefault' | 'whenNamed';
  readonly emulated: 'byDefault' | 'whenNamed' | 'never';
}

/** One weight matrix of a model. */
export interface ModelLinear extends LinearSpec, Treatment {
  /** Module path, as adapters name it, e.g. `model.layers.3.self_attn.q_proj`. */
  readonly path: string;
  /** Index of its block. */
  readonly block: number;
  /** Name of the weight in the checkpoint. */
  readonly weight: string;
}

/** What a text model's rows are bound by. */
export interface TextLimits {
  readonly vocabularySize: number;
  readonly maxPositions: number;
}

/** Blocks that the checkpoint counts, e.g. `model.layers.0` to `model.layers.31`. */
interface NumberedBlocks {
  readonly prefix: string;
  readonly count: number;
  /** Key of config.json that says how many they are. */
  readonly key: string;
}

/** What else a checkpoint may hold. */
interface OtherTensors {
  /** Names of tensors that repeat others, such as a tied head. */
  readonly repeated: readonly string[];
  /** Prefix of the model's own names where the checkpoint has other models; null: it has none. */
  readonly within: string | null;
  /** Prefixes of tensors that the class which opens the checkpoint leaves out. Default: none. */
  readonly ignored?: readonly string[];
  /** Tensors that belong to parts which a key of config.json leaves out. Default: none. */
  readonly denied?: readonly { readonly tensor: string; readonly key: string }[];
  /**
   * Module in whose paths alone an adapter's target_modules are to be looked for, where others have
   * modules of the same names that PEFT refuses to adapt. Default: everywhere.
   */
  readonly targetsWithin?: string;
}

/** A table that never enters a device: batches bring the rows that they look up. */
export interface HostTable {
  /** The stream of activations that the rows are, and the layout of its rows. */
  readonly stream: string;
  readonly rows: string;
  /** The stream of integers that says which entry each row is. */
  readonly indices: string;
  /** Name in the checkpoint, where it is (entries, width). */
  readonly checkpointName: string;
  readonly entries: number;
  readonly width: number;
}

/** Everything the engines know of a model: a chain of blocks over named streams. */
export interface ModelLayout {
  readonly family: string;
  readonly blocks: readonly Block[];
  readonly pages: readonly Page[];
  /** Those that can be trained and emulated, in the order of the chain. */
  readonly linears: readonly ModelLinear[];
  /** Those that only an adapter that was made elsewhere may adapt. */
  readonly otherLinears: readonly ModelLinear[];
  /** Rotary tables by name, and the row layout whose positions they cover. */
  readonly ropes: ReadonlyMap<string, { readonly spec: RopeSpec; readonly rows: string }>;
  readonly numbered: readonly NumberedBlocks[];
  readonly others: OtherTensors;
  readonly tables: readonly HostTable[];
  /** What whoever loads its adapters elsewhere should know, for people. Default: nothing. */
  readonly adapterNotice?: string;
  /** null: its rows are no texts that it goes on with. */
  readonly text: TextLimits | null;
  /** null: no images are read. */
  readonly images: ImageLimits | null;
  /** null: no images are made. */
  readonly diffusion: DiffusionLimits | null;
}

/** A block before it has its place. */
export interface BlockDeclaration {
  readonly name: string;
  readonly path: string;
  readonly program: Program;
  /** Name of its page; blocks of equal pages share one. */
  readonly page: string;
  /** Name in the checkpoint of a parameter. Default: within `path`. */
  readonly checkpointName?: (parameter: string) => string;
  /** Module path of a linear. Default: within `path`. */
  readonly linearPath?: (linear: string) => string;
  /** Of a linear. Default: both by default. */
  readonly treatment?: (linear: string) => Treatment;
  readonly isFront?: boolean;
}

export interface LayoutDeclaration extends Pick<
  ModelLayout,
  'family' | 'ropes' | 'numbered' | 'others' | 'adapterNotice' | 'text' | 'images' | 'diffusion'
> {
  readonly blocks: readonly BlockDeclaration[];
  /** Default: none. */
  readonly tables?: readonly HostTable[];
}

/** Gives blocks their places and pages. */
export function layoutFrom({
  blocks: declared,
  tables = [],
  ...rest
}: LayoutDeclaration): ModelLayout {
  const pages = new Map<string, PageTensor[]>();
  const blocks = declared.map((declaration, index): Block => {
    const { name, path, program, page, isFront = false } = declaration;
    const tensors = pages.get(page) ?? [];
    pages.set(page, tensors);
    const names = program.parameters.map((parameter): [string, string] => {
      const checkpointName = nameOf(declaration, parameter.name);
      const known = tensors.find((tensor) => tensor.checkpointName === checkpointName);
      if (!known) tensors.push({ ...parameter, checkpointName });
      return [parameter.name, known?.name ?? parameter.name];
    });
    const place = [...pages.keys()].indexOf(page);
    return Object.freeze({
      index,
      name,
      path,
      program,
      page: place,
      tensors: new Map(names),
      isFront,
    });
  });
  const linears = declared.flatMap((declaration, block) => linearsOf(declaration, block));
  return Object.freeze({
    ...rest,
    blocks,
    tables,
    pages: [...pages].map(([name, tensors]) => ({ name, tensors })),
    linears: linears.filter(({ isTrainable }) => isTrainable),
    otherLinears: linears.filter(({ isTrainable }) => !isTrainable),
  });
}

function nameOf({ path, checkpointName }: BlockDeclaration, parameter: string): string {
  return checkpointName?.(parameter) ?? `${path}.${parameter}`;
}

const always: Treatment = Object.freeze({ adapted: 'byDefault', emulated: 'byDefault' });

function linearsOf(declaration: BlockDeclaration, block: number): ModelLinear[] {
  const { path, program, linearPath, treatment = () => always } = declaration;
  return program.linears.map((linear) =>
    Object.freeze({
      ...linear,
      ...treatment(linear.name),
      path: linearPath?.(linear.name) ?? `${path}.${linear.name}`,
      block,
      weight: nameOf(declaration, `${linear.name}.weight`),
    }),
  );
}

/** Every linear that can be trained, by its module path, in the order of the chain. */
export function linearModules({ linears }: ModelLayout): ReadonlyMap<string, ModelLinear> {
  return new Map(linears.map((linear) => [linear.path, linear]));
}

/** Everything that an adapter which was made elsewhere may adapt. */
export function adaptableModules(layout: ModelLayout): ReadonlyMap<string, ModelLinear> {
  const { linears, otherLinears } = layout;
  return new Map([...linears, ...otherLinears].map((linear) => [linear.path, linear]));
}

/**
 * What a text model's rows are bound by.
 * @throws Error for a model whose rows are no texts
 */
export function textLimits({ text }: Pick<ModelLayout, 'text'>): TextLimits {
  if (text) return text;
  throw new Error('the model has no texts to go on with');
}

/** The block that ends the chain in a loss. */
export function lossBlock({ blocks }: ModelLayout): Block {
  return at(blocks, blocks.length - 1);
}

/** Where a linear's weight lies: in a page, under a name. */
export function weightPlace(
  { blocks }: Pick<ModelLayout, 'blocks'>,
  { block, name }: Pick<ModelLinear, 'block' | 'name'>,
): { readonly page: number; readonly tensor: string } {
  return { page: at(blocks, block).page, tensor: `${name}.weight` };
}

/** Module path of a block. */
export function pathOfBlock({ blocks }: Pick<ModelLayout, 'blocks'>, index: number): string {
  return at(blocks, index).path;
}

/** Numbers in all tensors of the model. */
export function parameterCount({ pages }: ModelLayout): number {
  return pages
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
}

/** A model without its first blocks, and the pages that it still has, as numbers of the whole's. */
export interface Rest {
  readonly layout: ModelLayout;
  readonly pages: readonly number[];
}

/** What is left of a model where the streams of the first `count` blocks are brought by batches. */
export function restOf(layout: ModelLayout, count: number): Rest {
  const blocks = layout.blocks.slice(count);
  const pages = [...new Set(blocks.map(({ page }) => page))].sort((a, b) => a - b);
  const later = (linears: readonly ModelLinear[]): ModelLinear[] =>
    linears
      .filter(({ block }) => block >= count)
      .map((linear) => ({ ...linear, block: linear.block - count }));
  return {
    pages,
    layout: {
      ...layout,
      blocks: blocks.map((block) => ({
        ...block,
        index: block.index - count,
        page: pages.indexOf(block.page),
      })),
      pages: pages.map((page) => at(layout.pages, page)),
      linears: later(layout.linears),
      otherLinears: later(layout.otherLinears),
    },
  };
}
