import type { PlainTuneOptions } from '@emloc/contracts';
import { heldOutCount, type RowScan } from '@emloc/dataset';
import { optionTable } from '@emloc/pipeline';
import type { FieldViolation } from '@emloc/rpc';

import type { FoundPictures, FoundRows, Inspection } from '../outcome/engine.js';

/** With what the kind of model decides. */
type StepOptions = Pick<
  PlainTuneOptions,
  'steps' | 'levels' | 'epochs' | 'batch' | 'gradientAccumulation'
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
  { data, validation }: Omit<FoundRows, 'kind'>,
  { prefix, maxSteps }: Limits,
): FieldViolation[] {
  const ofRows = [
    ...scanViolations(`${prefix}.data`, data),
    ...(validation ? scanViolations(`${prefix}.validation`, validation) : []),
  ];
  if (ofRows.length > 0) return ofRows;
  const heldOut = validation ? 0 : heldOutCount(data.rows);
  if (data.isWhole && data.rows < 2 * heldOut) {
    return [
      {
        field: `${prefix}.data`,
        description: `has ${data.rows} rows, ${2 * heldOut} are needed to hold out ${heldOut} for validation`,
      },
    ];
  }
  const steps = stepsOf(plain, Math.max(0, data.rows - heldOut));
  if (steps <= maxSteps) return [];
  return [
    {
      field: `${prefix}.epochs`,
      description: `${plain.epochs} epochs of ${data.isWhole ? '' : 'at least '}${data.rows - heldOut} rows make ${steps} steps, at most ${maxSteps} are allowed`,
    },
  ];
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
 * checked with the options.
 */
function stepsOf(
  { steps, levels, epochs, batch, gradientAccumulation }: StepOptions,
  rows: number,
): number {
  if (typeof steps === 'number' || typeof levels === 'string') return 0;
  return Math.ceil((epochs ?? 1) * Math.ceil(rows / ((batch ?? 1) * (gradientAccumulation ?? 1))));
}
