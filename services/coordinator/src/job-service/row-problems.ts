import { at } from '@emloc/checked';
import type { PlainTuneOptions } from '@emloc/contracts';
import { drawnRows, heldOutCount, heldOutOfFiles, type RowScan } from '@emloc/dataset';
import { optionTable, weightsOf } from '@emloc/pipeline';
import type { FieldViolation } from '@emloc/rpc';

import type { FoundPictures, FoundRows, Inspection } from '../outcome/engine.js';

/** With what the kind of model decides. */
type StepOptions = Pick<
  PlainTuneOptions,
  'steps' | 'levels' | 'epochs' | 'batch' | 'batchTokens' | 'gradientAccumulation' | 'dataWeights'
>;

interface Limits {
  /** Of field names, such as `job.options`. */
  readonly prefix: string;
  readonly maxSteps: number;
}

/** What is wrong with what a job is trained on, and with the number of steps that it makes. */
export function dataViolations(
  plain: StepOptions,
  found: Inspection['found'],
  limits: Limits,
): FieldViolation[] {
  return found.kind === 'text'
    ? rowViolations(plain, found, limits)
    : pictureViolations(plain, found, limits);
}

function pictureViolations(
  { steps }: StepOptions,
  { problems }: FoundPictures,
  { prefix, maxSteps }: Limits,
): FieldViolation[] {
  const ofFolders = problems.map(({ option, description }) => ({
    field: `${prefix}.${optionTable[option].field}`,
    description,
  }));
  if (ofFolders.length > 0 || !(typeof steps === 'number' && steps > maxSteps)) return ofFolders;
  const description = `${steps} is the default, at most ${maxSteps} is allowed`;
  return [{ field: `${prefix}.steps`, description }];
}

function rowViolations(
  plain: StepOptions,
  { data, moreData, validation }: Omit<FoundRows, 'kind'>,
  { prefix, maxSteps }: Limits,
): FieldViolation[] {
  const ofRows = [
    ...scanViolations(`${prefix}.data`, data),
    ...moreData.flatMap((scan, index) => scanViolations(`${prefix}.more_data[${index}]`, scan)),
    ...(validation ? scanViolations(`${prefix}.validation`, validation) : []),
  ];
  if (ofRows.length > 0) return ofRows;
  const scans = [data, ...moreData];
  const isWhole = scans.every((scan) => scan.isWhole);
  const all = scans.reduce((sum, { rows }) => sum + rows, 0);
  const heldOut = validation ? 0 : heldOutCount(all);
  if (isWhole && all < 2 * heldOut) {
    return [
      {
        field: `${prefix}.data`,
        description: `has ${all} rows, ${2 * heldOut} are needed to hold out ${heldOut} for validation`,
      },
    ];
  }
  const rows = epochRows(scans, plain, validation === null);
  const steps = stepsOf(plain, rows);
  if (steps <= maxSteps) return [];
  return [
    {
      field: `${prefix}.epochs`,
      description: `${plain.epochs} epochs of ${isWhole ? '' : 'at least '}${rows} rows make ${plain.batchTokens ? 'up to ' : ''}${steps} steps, at most ${maxSteps} are allowed`,
    },
  ];
}

/** Rows of an epoch, as `splitValidation` and `mixRows` of the data set library have them. */
function epochRows(
  scans: readonly RowScan[],
  { dataWeights }: StepOptions,
  isSplit: boolean,
): number {
  const weights = weightsOf(scans.length, dataWeights ?? null);
  const files = scans.map(({ rows }, index) => ({ rows, weight: at(weights, index) }));
  const heldOut = isSplit ? heldOutOfFiles(files) : files.map(() => 0);
  return files.reduce(
    (sum, { rows, weight }, index) => sum + drawnRows(rows - at(heldOut, index), weight),
    0,
  );
}

function scanViolations(field: string, { rows, isWhole, problems }: RowScan): FieldViolation[] {
  if (problems.length > 0)
    return problems.map((problem) => ({
      field,
      description: `line ${problem.line}: ${problem.field === null ? '' : `${problem.field} `}${problem.reason}`,
    }));
  return rows === 0 && isWhole ? [{ field, description: 'has no rows' }] : [];
}

/**
 * As `batchSchedule` of the data set library counts them; a number that was asked for has been
 * checked with the options. Where tokens decide, a batch has a row at least.
 */
function stepsOf(
  { steps, levels, epochs, batch, batchTokens, gradientAccumulation }: StepOptions,
  rows: number,
): number {
  if (typeof steps === 'number' || typeof levels === 'string') return 0;
  const batchRows = typeof batchTokens === 'number' ? 1 : (batch ?? 1);
  return Math.ceil((epochs ?? 1) * Math.ceil(rows / (batchRows * (gradientAccumulation ?? 1))));
}
