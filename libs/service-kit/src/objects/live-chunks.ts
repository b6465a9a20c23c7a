import type { LaneMessage } from '../nats/lane-parser.js';
import type { Lane } from '../nats/lane.js';
import { chunkIndexOf } from './chunk-id.js';

/** Silence after which what passes is no longer counted on. */
const silentMs = 250;

/**
 * Chunks as they pass the server on their way into the store, in order and without gaps. Nothing
 * holds the writer back: when more than `limit` wait to be taken, all are dropped and no more come.
 */
export class LiveChunks {
  readonly #messages: LaneMessage[] = [];
  readonly #unsubscribe: () => void;
  #first = 0;
  #heardMs = -Infinity;
  #ended = false;

  /** @param arrived is called after each chunk, and when no more come */
  constructor(
    lane: Lane,
    subject: string,
    private readonly limit: number,
    private readonly arrived: () => void,
  ) {
    this.#unsubscribe = lane.subscribe(subject, (message) => this.#received(message));
  }

  /**
   * Index of the first chunk that is held, or of the next to come; undefined: none is held, and
   * none came just now.
   */
  get first(): number | undefined {
    return !this.#ended &&
      (this.#messages.length > 0 || performance.now() - this.#heardMs < silentMs)
      ? this.#first
      : undefined;
  }

  /** The chunk of this index, if it is held; those before it are dropped. */
  take(index: number): LaneMessage | undefined {
    while (this.#messages.length > 0 && this.#first <= index) {
      const message = this.#messages.shift();
      if (this.#first++ === index) return message;
      message?.release();
    }
    return undefined;
  }

  /** Drops what is held; nothing comes any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    for (const message of this.#messages.splice(0)) message.release();
  }

  #received(message: LaneMessage): void {
    const index = chunkIndexOf(message.headers);
    const next = this.#heardMs === -Infinity ? index : this.#first + this.#messages.length;
    // A chunk that the writer has sent again.
    if (this.#ended || index === undefined || next === undefined || index < next)
      return message.release();
    if (index > next || this.#messages.length === this.limit) {
      message.release();
      this.end();
    } else {
      if (this.#messages.length === 0) this.#first = index;
      this.#heardMs = performance.now();
      this.#messages.push(message);
    }
    this.arrived();
  }
}
