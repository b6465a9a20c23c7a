import { at } from '@emloc/checked';

import { invalidOption } from './checks.js';

const mostWeight = 1000;

/**
 * The weights of files of rows, in the order of the files: numbers above 0 and at most 1000, with
 * commas between.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
export function parseDataWeights(name: string, text: string): readonly number[] {
  return text.split(',').map((part) => {
    const weight = /^\s*(\d+\.?\d*|\.\d+)\s*$/.test(part) ? Number(part) : Number.NaN;
    if (weight > 0 && weight <= mostWeight) return weight;
    throw invalidOption(
      name,
      text,
      `numbers above 0 and at most ${mostWeight} with commas between, as 1,0.5,`,
    );
  });
}

interface WeightedData {
  readonly data: string;
  readonly moreData: readonly string[];
  readonly dataWeights: string | null;
}

/** A file of rows, and how often an epoch has them. */
export interface WeightedFile {
  readonly path: string;
  readonly weight: number;
}

/** The files of a data set. @param options that were checked */
export function weightedFiles({ data, moreData, dataWeights }: WeightedData): WeightedFile[] {
  const paths = [data, ...moreData];
  const weights = weightsOf(paths.length, dataWeights);
  return paths.map((path, index) => ({ path, weight: at(weights, index) }));
}

/** The weights of so many files. @param dataWeights that were checked; null: all are 1 */
export function weightsOf(files: number, dataWeights: string | null): readonly number[] {
  return dataWeights === null
    ? new Array<number>(files).fill(1)
    : parseDataWeights('dataWeights', dataWeights);
}

/**
 * Each file has a weight, or none has.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
export function assertWeightCount({ moreData, dataWeights }: Omit<WeightedData, 'data'>): void {
  if (dataWeights === null) return;
  const files = moreData.length + 1;
  const weights = parseDataWeights('dataWeights', dataWeights).length;
  if (weights !== files)
    throw invalidOption(
      'dataWeights',
      dataWeights,
      `${files} ${files === 1 ? 'weight, as there is one file' : 'weights, one for each file'} of option data,`,
    );
}
