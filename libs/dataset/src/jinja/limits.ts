import { TemplateError } from './errors.js';

/** What one rendering may take. */
export interface Limits {
  readonly timeMs: number;
  /** Passes of all loops, and items that filters visit. */
  readonly loopPasses: number;
  /** Calls of macros, blocks and recursive loops inside each other. */
  readonly callDepth: number;
  /** UTF-16 units of the rendered text. */
  readonly outputLength: number;
  /** Of texts, lists and dicts that the template makes and holds at one time. */
  readonly memoryBytes: number;
}

const MIB = 2 ** 20;

export const defaultLimits: Limits = {
  timeMs: 30_000,
  loopPasses: 10_000_000,
  callDepth: 200,
  outputLength: 64 * MIB,
  memoryBytes: 512 * MIB,
};

/** How many bytes a text may take: strings are held with two bytes a unit at most. */
const BYTES_PER_UNIT = 2;
const BYTES_PER_ITEM = 16;
const BYTES_PER_LIST = 48;
const BYTES_PER_ENTRY = 64;
const PASSES_PER_CLOCK = 16;
const WORK_PER_CLOCK = 4 * MIB;

/**
 * Counts what a rendering takes. Memory is counted when a value is made; at a pass of a loop, what
 * is no longer reachable is taken off again (`measure`).
 */
export class Budget {
  readonly limits: Limits;
  readonly #deadline: number;
  #passes = 0;
  #nextClock = PASSES_PER_CLOCK;
  #depth = 0;
  #work = 0;
  /** Bytes that were reachable at the last measurement. */
  #live = 0;
  /** Bytes made before a call or loop that still runs, which a measurement cannot see. */
  #held = 0;
  /** Bytes made since. */
  #made = 0;
  readonly #measure: () => number;

  constructor(limits: Limits, measure: () => number) {
    this.limits = limits;
    this.#deadline = performance.now() + limits.timeMs;
    this.#measure = measure;
  }

  text(length: number): void {
    this.bytes(length * BYTES_PER_UNIT);
  }

  items(count: number): void {
    this.bytes(BYTES_PER_LIST + count * BYTES_PER_ITEM);
  }

  entries(count: number): void {
    this.bytes(BYTES_PER_LIST + count * BYTES_PER_ENTRY);
  }

  bytes(count: number): void {
    this.work(count);
    this.#made += count;
    const { memoryBytes } = this.limits;
    if (this.#live + this.#held + this.#made > memoryBytes)
      throw new TemplateError(
        'limit',
        `the template makes more than ${memoryBytes / MIB} MiB of values`,
      );
  }

  /** Something that takes time in proportion to a length. */
  work(length: number): void {
    this.#work += length;
    if (this.#work < WORK_PER_CLOCK) return;
    this.#work = 0;
    this.checkTime();
  }

  /** One pass of a loop, where temporary values of its expressions are gone. */
  pass(): void {
    this.visit();
    if (this.#made > this.limits.memoryBytes / 4) {
      this.#live = this.#measure();
      this.#made = 0;
    }
  }

  /** One item that a filter or operator visits. */
  visit(count = 1): void {
    this.#passes += count;
    if (this.#passes < this.#nextClock) return;
    this.#nextClock = this.#passes + PASSES_PER_CLOCK;
    if (this.#passes > this.limits.loopPasses)
      throw new TemplateError(
        'limit',
        `the template's loops make more than ${this.limits.loopPasses} passes`,
      );
    this.checkTime();
  }

  checkTime(): void {
    if (performance.now() > this.#deadline)
      throw new TemplateError(
        'limit',
        `the template runs for more than ${this.limits.timeMs / 1000} s`,
      );
  }

  output(length: number): void {
    if (length > this.limits.outputLength)
      throw new TemplateError(
        'limit',
        `the template writes more than ${this.limits.outputLength / MIB} Mi characters`,
      );
  }

  /** A call begins: what was made so far may be held by the expression that calls. */
  enter(): void {
    this.visit();
    if (++this.#depth > this.limits.callDepth)
      throw new TemplateError(
        'limit',
        `the template's calls are more than ${this.limits.callDepth} deep`,
      );
  }

  leave(): void {
    this.#depth--;
  }

  /** @returns what `release` takes */
  hold(): number {
    const made = this.#made;
    this.#held += made;
    this.#made = 0;
    return made;
  }

  release(made: number): void {
    this.#held -= made;
    this.#made += made;
  }
}

/** Sizes by which reachable values are measured. */
export const sizes = { BYTES_PER_UNIT, BYTES_PER_ITEM, BYTES_PER_LIST, BYTES_PER_ENTRY } as const;
