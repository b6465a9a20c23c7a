import type { TextSource } from '@emloc/dataset';
import type { Model } from '@emloc/models';

import { PipelineError } from '../errors.js';
import { utcDay, type TuneOptions } from '../options/resolve.js';
import { readRecord } from './record.js';

/** Options that decide how rows become text. */
type TextChoices = Pick<TuneOptions, 'date' | 'chatTemplate' | 'templateArgs'>;

/** What `emloc.json` remembers of them; all of it decides what the model was trained to see. */
export interface TextRecord {
  /** As `YYYY-MM-DD`. */
  readonly date: string;
  /** Source of the template that stood for the model's own; null: the model's own. */
  readonly chatTemplate: string | null;
  /** A JSON object, as it was given; null: none. */
  readonly templateArguments: string | null;
}

export function textRecordOf({ date, chatTemplate, templateArgs }: TextChoices): TextRecord {
  return { date: date ?? utcDay(new Date()), chatTemplate, templateArguments: templateArgs };
}

/**
 * How the rows of a job or an evaluation become text: those of today, unless it has a date.
 * @param model whose vocabulary the tokens must be in
 */
export function textSourceOf(
  options: TextChoices & Pick<TuneOptions, 'model'>,
  { layout }: Model,
): TextSource {
  return {
    folder: options.model,
    vocabularySize: layout.text.vocabularySize,
    ...textRecordOf(options),
  };
}

/**
 * Options with what their adapter remembers where they say nothing.
 * @throws PipelineError PIPELINE_INVALID_OPTION where they say something else
 */
export async function withRecordedText<O extends TextChoices & { readonly adapter: string | null }>(
  options: O,
): Promise<O> {
  const recorded = options.adapter === null ? null : await recordedText(options.adapter);
  if (!recorded) return options;
  const choose = <T>(name: string, given: T | null, kept: T | null): T | null => {
    if (given !== null && given !== kept)
      throw new PipelineError(
        'PIPELINE_INVALID_OPTION',
        `option ${name}: the adapter ${options.adapter} was trained with another one (see its emloc.json)`,
      );
    return kept;
  };
  return {
    ...options,
    date: choose('date', options.date, recorded.date),
    chatTemplate: choose('chatTemplate', options.chatTemplate, recorded.chatTemplate),
    templateArgs: choose(
      'templateArgs',
      sameArguments(options.templateArgs, recorded.templateArguments)
        ? recorded.templateArguments
        : options.templateArgs,
      recorded.templateArguments,
    ),
  };
}

/**
 * Null for an adapter that does not say, as those of other programs.
 * @throws CheckpointError where it has a record that cannot be read
 */
export async function recordedText(adapter: string): Promise<TextRecord | null> {
  const record = await readRecord(adapter);
  if (!record) return null;
  const { text } = record as { readonly text?: Partial<TextRecord> | null };
  if (typeof text?.date !== 'string') return null;
  const { date, chatTemplate, templateArguments } = text;
  return {
    date,
    chatTemplate: typeof chatTemplate === 'string' ? chatTemplate : null,
    templateArguments: typeof templateArguments === 'string' ? templateArguments : null,
  };
}

/** Whether two JSON objects differ in white space and the order of keys only. */
function sameArguments(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && canonical(a) === canonical(b);
}

function canonical(json: string): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([x], [y]) => (x < y ? -1 : 1))
        .map(([key, each]) => [key, sorted(each)]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(json)));
}
