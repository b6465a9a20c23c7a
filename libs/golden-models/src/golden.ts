import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { asFields, asNumber, asNumbers, optional, type Fields } from './fields.js';

/** What transformers computes with a small model, in float32: golden.json of a folder. */
export interface Golden {
  /** Versions and precision. */
  readonly how: string;
  /** One sequence each; none in goldens of images alone. */
  readonly sequences: readonly GoldenSequence[];
  readonly lora: GoldenLora;
  /** What the vision tower and the projector make of the tiles. */
  readonly imageFeatures: GoldenFeatures | undefined;
  readonly images: GoldenImages | undefined;
  /**
   * The largest error of LoRA's gradients that the golden's own program has in bfloat16, by the
   * measure of `compareGolden`: how much of a rounding the model makes.
   */
  readonly bfloat16Gradients: number | undefined;
}

/** The tiles of the sequences, one after another. */
interface GoldenImages {
  /** A safetensors file with one tensor, (tiles, 3, side, side), normalised. */
  readonly file: string;
  /** The token whose rows they fill, where the golden says it. */
  readonly token: number | undefined;
}

export interface GoldenSequence {
  readonly ids: readonly number[];
  /** A target a row, -100 where there is none; undefined: every token but the first is one. */
  readonly labels: readonly number[] | undefined;
  /** Mean cross-entropy of the targets. */
  readonly nllMean: number | undefined;
  /** Of every row. */
  readonly logSumExp: readonly number[];
  /** The largest logit of every row. */
  readonly argmax: readonly number[];
  /** The logits that are known, each list from column 0 on. */
  readonly logits: readonly KnownLogits[];
}

interface KnownLogits {
  readonly row: number;
  readonly values: readonly number[];
}

interface GoldenFeatures {
  /** tiles, rows a tile, width */
  readonly shape: readonly number[];
  readonly first: readonly number[];
  readonly norm: number;
}

export interface GoldenLora {
  /** Mean cross-entropy over the targets of all sequences, with the LoRA of `goldenAdapter`. */
  readonly loss: number;
  /** By module path. */
  readonly gradients: ReadonlyMap<string, GoldenGradients>;
}

interface GoldenGradients {
  readonly a: GoldenGradient;
  readonly b: GoldenGradient;
}

export interface GoldenGradient {
  readonly norm: number;
  /** The first values, row-major. */
  readonly first: readonly number[];
}

const originalLayout = '-original-layout';
const pixelsName = 'pixels.safetensors';

/**
 * Reads FOLDER/golden.json; of a folder NAME-original-layout without one, NAME/golden.json beside
 * it.
 * @throws Error that names file and field
 */
export async function readGolden(folder: string): Promise<Golden> {
  const own = join(folder, 'golden.json');
  const beside = siblingOf(folder);
  let from = folder;
  const text = await readFile(own, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || beside === undefined) throw error;
    from = beside;
    return readFile(join(beside, 'golden.json'), 'utf8');
  });
  try {
    return parseGolden(JSON.parse(text), from);
  } catch (error) {
    throw new Error(`${own}: ${(error as Error).message}`, { cause: error });
  }
}

function siblingOf(folder: string): string | undefined {
  const path = resolve(folder);
  const name = basename(path);
  if (!name.endsWith(originalLayout)) return undefined;
  return join(dirname(path), name.slice(0, -originalLayout.length));
}

/**
 * @param folder where the files beside it are
 * @throws Error that names the field
 */
export function parseGolden(value: unknown, folder = '.'): Golden {
  const golden = asFields(value, 'golden');
  if (typeof golden.how !== 'string') throw new Error('how is not a text');
  return {
    how: golden.how,
    sequences: toSequences(golden),
    // Goldens of image generation have theirs within the training step.
    lora: toLora(golden.lora ?? optional(golden.train, 'train', asFields)?.lora),
    imageFeatures: optional(golden.image_features, 'image_features', toFeatures),
    bfloat16Gradients: optional(
      optional(golden.in_bfloat16, 'in_bfloat16', asFields)?.gradients,
      'in_bfloat16.gradients',
      asNumber,
    ),
    images: optional(golden.pixels, 'pixels', (text) => toImages(text, folder)),
  };
}

/** From words such as `pixels.safetensors, …; tiles fill the image tokens (id 5) in order`. */
function toImages(text: unknown, folder: string): GoldenImages {
  if (typeof text !== 'string') throw new Error('pixels is not a text');
  const [, id] = /\(id (\d+)\)/.exec(text) ?? [];
  return {
    file: join(folder, pixelsName),
    token: id === undefined ? undefined : Number(id),
  };
}

/** Goldens with images have one sequence, whose fields are the file's own. */
function toSequences(golden: Fields): readonly GoldenSequence[] {
  if (golden.ids !== undefined) return [toSequence(golden, '')];
  if (golden.sequences === undefined) return [];
  if (!Array.isArray(golden.sequences)) throw new Error('sequences is not a list');
  return golden.sequences.map((sequence, index) => {
    const name = `sequences[${index}]`;
    return toSequence(asFields(sequence, name), `${name}.`);
  });
}

function toSequence(sequence: Fields, prefix: string): GoldenSequence {
  const numbers = (field: string): readonly number[] =>
    asNumbers(sequence[field], `${prefix}${field}`);
  const ids = numbers('ids');
  const rows = Object.entries(asFields(sequence.rows ?? {}, `${prefix}rows`));
  return {
    ids,
    labels: optional(sequence.labels, `${prefix}labels`, asNumbers),
    nllMean: optional(sequence.nll_mean, `${prefix}nll_mean`, asNumber),
    logSumExp: numbers('logsumexp'),
    argmax: numbers('argmax'),
    logits: [
      { row: 0, values: numbers('first_first_8') },
      { row: ids.length - 1, values: numbers('last_first_32') },
      ...rows.map(([row, values]) => ({
        row: Number(row),
        values: asNumbers(values, `${prefix}rows.${row}`),
      })),
    ],
  };
}

/** @throws Error that names the field */
export function toLora(value: unknown): GoldenLora {
  const lora = asFields(value, 'lora');
  const gradients = Object.entries(asFields(lora.grads, 'lora.grads'));
  return {
    loss: asNumber(lora.value, 'lora.value'),
    gradients: new Map(gradients.map(([path, gradient]) => [path, toGradients(gradient, path)])),
  };
}

function toGradients(value: unknown, path: string): GoldenGradients {
  const fields = asFields(value, path);
  const part = (name: string): GoldenGradient => ({
    norm: asNumber(fields[`${name}_norm`], `${path}.${name}_norm`),
    first: asNumbers(fields[`${name}_first`], `${path}.${name}_first`),
  });
  return { a: part('A'), b: part('B') };
}

function toFeatures(value: unknown, name: string): GoldenFeatures {
  const fields = asFields(value, name);
  return {
    shape: asNumbers(fields.shape, `${name}.shape`),
    first: asNumbers(fields.first_16, `${name}.first_16`),
    norm: asNumber(fields.norm, `${name}.norm`),
  };
}
