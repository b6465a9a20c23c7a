import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at, get, required } from '@emloc/checked';

import { asFields, asNumber, asNumbers } from './fields.js';
import { readGoldenTensors, tensorsFile, type GoldenTensor } from './golden-tensors.js';
import { toLora, type GoldenLora } from './golden.js';

/** What diffusers and transformers compute with a folder's models, in float32. */
export interface DiffusionGolden {
  readonly clipIds: readonly number[];
  readonly t5Ids: readonly number[];
  readonly train: {
    readonly noiseLevel: number;
    readonly guidance: number;
    /** Its loss is the mean of squares, with the LoRA of `goldenAdapter`. */
    readonly lora: GoldenLora;
  };
  readonly sample: {
    readonly steps: number;
    readonly guidance: number;
    /** In pixels. */
    readonly height: number;
    readonly width: number;
    /** Noise levels, the 0 at the end among them. */
    readonly noiseLevels: readonly number[];
  };
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

/**
 * Reads FOLDER/golden.json and FOLDER/tensors.safetensors.
 * @throws Error that names file and field
 */
export async function readDiffusionGolden(folder: string): Promise<DiffusionGolden> {
  const file = join(folder, 'golden.json');
  const text = await readFile(file, 'utf8');
  const tensors = await readGoldenTensors(join(folder, tensorsFile));
  try {
    return { ...parse(JSON.parse(text)), tensors };
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

function parse(value: unknown): Omit<DiffusionGolden, 'tensors'> {
  const golden = asFields(value, 'golden');
  const train = asFields(golden.train, 'train');
  const sample = asFields(golden.sample, 'sample');
  const number = (name: string): number => asNumber(sample[name], `sample.${name}`);
  return {
    clipIds: onlyRow(golden.clip_ids, 'clip_ids'),
    t5Ids: onlyRow(golden.t5_ids, 't5_ids'),
    train: {
      noiseLevel: asNumber(train.sigma, 'train.sigma'),
      guidance: asNumber(train.guidance, 'train.guidance'),
      lora: toLora(train.lora),
    },
    sample: {
      steps: number('steps'),
      guidance: number('guidance'),
      height: number('height'),
      width: number('width'),
      noiseLevels: asNumbers(sample.sigmas, 'sample.sigmas'),
    },
  };
}

/** The ids of the one prompt in a batch of one. */
function onlyRow(value: unknown, name: string): readonly number[] {
  if (!Array.isArray(value) || value.length !== 1) throw new Error(`${name} is no list of one`);
  return asNumbers(value[0], `${name}[0]`);
}

/** @throws Error where the golden lacks it */
export function tensorOf(
  { tensors }: Pick<DiffusionGolden, 'tensors'>,
  name: string,
): GoldenTensor {
  return get(tensors, name);
}

/** A picture (1, channels, height, width) as rows of pixels: (height · width, channels). */
export function pixelsOf({ shape, values }: GoldenTensor): GoldenPicture {
  const [, channels, height, width] = shape;
  const picture = {
    channels: required(channels, 'channels'),
    height: required(height, 'height'),
    width: required(width, 'width'),
  };
  const count = picture.height * picture.width;
  return {
    ...picture,
    pixels: values.map((_, index) => {
      const [pixel, channel] = [Math.floor(index / picture.channels), index % picture.channels];
      return at(values, channel * count + pixel);
    }),
  };
}

export interface GoldenPicture {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** (height · width, channels) */
  readonly pixels: Float32Array;
}
