import type { JobEvent, StageName } from './observer.js';

type Told<T extends JobEvent['type']> = Extract<JobEvent, { type: T }>;

/**
 * What a line of a job's log has beside its time: docs/reference/log.md has every field with its
 * unit.
 */
type LoggedEvent =
  | { readonly event: 'stage'; readonly stage: StageName; readonly state: 'started' | 'finished' }
  | { readonly event: 'resumed'; readonly stage: StageName; readonly step: number }
  | ({ readonly event: 'step'; readonly items: number; readonly itemsPerSecond: number } & Omit<
      Told<'step'>,
      'type' | 'tokens'
    >)
  | ({ readonly event: 'validation' } & Omit<Told<'validation'>, 'type'>);

/** A line of a job's log; holds nothing that stands in prompts or rows. */
export type LogEntry = { readonly time: string } & LoggedEvent;

/** The line of an event; null: it has none. */
export function logEntryOf(told: JobEvent, now: Date): LogEntry | null {
  const time = now.toISOString();
  switch (told.type) {
    case 'stage':
      return { time, event: 'stage', stage: told.stage, state: told.state };
    case 'begun':
      return told.step > 0 ? { time, event: 'resumed', stage: told.stage, step: told.step } : null;
    case 'step': {
      const { type: _type, tokens: items, seconds, ...same } = told;
      const itemsPerSecond = items / seconds;
      return { time, event: 'step', ...same, items, seconds, itemsPerSecond };
    }
    case 'validation': {
      const { type: _type, ...same } = told;
      return { time, event: 'validation', ...same };
    }
    case 'prepared':
    case 'estimate':
    case 'progress':
    case 'notice':
      return null;
  }
}

/** A line without its end. Numbers that are not finite are null. */
export function lineOf(entry: LogEntry): string {
  return JSON.stringify(entry);
}

/** What was written whole: a line that a crash has cut is none. */
export function logEntriesIn(text: string): readonly LogEntry[] {
  return text.split('\n').flatMap((line) => entryIn(line) ?? []);
}

function entryIn(line: string): [LogEntry] | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'event' in value
      ? [value as LogEntry]
      : null;
  } catch {
    return null;
  }
}

/** Whether a run that begins again at a kept state will not do again what an entry tells of. */
export function outlives(
  entry: LogEntry,
  { stage, step, level, validated }: Told<'begun'>,
): boolean {
  if (entry.stage !== stage) return true;
  if (entry.event === 'step') return entry.step <= step;
  if (entry.event !== 'validation') return true;
  return entry.level <= level && validated.includes(entry.step);
}
