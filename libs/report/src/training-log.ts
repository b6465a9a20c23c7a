import { join } from 'node:path';

import { numberAt, textAt } from './fields.js';
import { parsed, readText } from './read-file.js';

/** A line of the log of a job's steps; null: the line does not say it. */
export interface LogLine {
  /** `step`, `validation`, `stage`, and what later versions add. */
  readonly kind: string;
  readonly stage: string;
  readonly step: number | null;
  readonly loss: number | null;
  readonly learningRate: number | null;
  readonly gradientNorm: number | null;
  readonly tokensPerSecond: number | null;
  readonly deviceBytes: number | null;
  readonly budgetBytes: number | null;
  /** Since the job's start. */
  readonly seconds: number | null;
}

export const logFileName = 'log.jsonl';

/** The lines of an adapter's log that can be read, in order; none where there is no log. */
export async function readTrainingLog(folder: string): Promise<readonly LogLine[]> {
  const text = await readText(join(folder, logFileName));
  return (text ?? '').split('\n').flatMap((line) => lineOf(parsed(line)));
}

function lineOf(value: unknown): LogLine[] {
  const kind = textAt(value, 'kind');
  if (kind === null) return [];
  return [
    {
      kind,
      stage: textAt(value, 'stage') ?? '',
      step: numberAt(value, 'step'),
      loss: numberAt(value, 'loss'),
      learningRate: numberAt(value, 'learningRate'),
      gradientNorm: numberAt(value, 'gradientNorm'),
      tokensPerSecond: numberAt(value, 'tokensPerSecond'),
      deviceBytes: numberAt(value, 'deviceBytes'),
      budgetBytes: numberAt(value, 'budgetBytes'),
      seconds: numberAt(value, 'seconds'),
    },
  ];
}
