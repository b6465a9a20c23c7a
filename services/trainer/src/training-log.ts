import {
  lineOf,
  logEntriesIn,
  logEntryOf,
  outlives,
  type LogEntry,
  type TensorRecord,
} from '@emloc/pipeline';
import type { EngineEvent } from '@emloc/stage';

/** Attribute of records that has a log. */
const attribute = 'log';

/**
 * The lines that a training stage adds to its job's log. They are kept with its states, so that a
 * stage which goes on from one has each step once.
 */
export class TrainingLog {
  #entries: LogEntry[] = [];

  /** The lines up to a state that is gone on with. */
  restore({ attributes }: TensorRecord): void {
    this.#entries = [...logEntriesIn(attributes[attribute] ?? '')];
  }

  observe(told: EngineEvent): void {
    if (told.type === 'begun')
      this.#entries = this.#entries.filter((entry) => outlives(entry, told));
    if (told.type !== 'begun' && told.type !== 'step' && told.type !== 'validation') return;
    const entry = logEntryOf(told, new Date());
    if (entry) this.#entries.push(entry);
  }

  /** The record with the lines until now. */
  within({ tensors, attributes }: TensorRecord): TensorRecord {
    const lines = this.#entries.map((entry) => `${lineOf(entry)}\n`);
    return { tensors, attributes: { ...attributes, [attribute]: lines.join('') } };
  }
}
