import { join } from 'node:path';
import { logFileName } from '@emloc/checkpoint';

import { numberAt, textAt } from './fields.js';
import { parsed, readText } from './read-file.js';

/** A line of the log of a job, as docs/reference/log.md has it; null: the line does not say it. */
export interface LogLine {
  /** `step`, `validation`, `stage`, and what later versions add. */
  readonly event: string;
  readonly stage: string;
  readonly step: number | null;
  readonly loss: number | null;
  /** Whether a step's loss is that on the original that the model emulates. */
  readonly anchor: boolean;
  /** The most that was in use during a step. */
  readonly peakDeviceBytes: number | null;
  readonly budgetBytes: number | null;
  /** When it was written, in milliseconds since 1970. */
  readonly timeMs: number | null;
}

/** The lines of an adapter's log that can be read, in order; none where there is no log. */
export async function readTrainingLog(folder: string): Promise<readonly LogLine[]> {
  const text = await readText(join(folder, logFileName));
  return (text ?? '').split('\n').flatMap((line) => lineOf(parsed(line)));
}

function lineOf(value: unknown): LogLine[] {
  const event = textAt(value, 'event');
  if (event === null) return [];
  const timeMs = Date.parse(textAt(value, 'time') ?? '');
  return [
    {
      event,
      stage: textAt(value, 'stage') ?? '',
      step: numberAt(value, 'step'),
      loss: numberAt(value, 'loss'),
      anchor: (value as { readonly anchor?: unknown }).anchor === true,
      peakDeviceBytes: numberAt(value, 'peakDeviceBytes'),
      budgetBytes: numberAt(value, 'budgetBytes'),
      timeMs: Number.isNaN(timeMs) ? null : timeMs,
    },
  ];
}
