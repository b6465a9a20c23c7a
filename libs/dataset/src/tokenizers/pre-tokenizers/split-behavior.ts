/** What becomes of a match when a text is split at it. */
export const splitBehaviors = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const;

export type SplitBehavior = (typeof splitBehaviors)[number];

/** Takes matches and what is between them, in order, without gaps. */
export interface Splitter {
  add(start: number, end: number, isMatch: boolean): void;
  finish(): void;
}

export function createSplitter(
  behavior: SplitBehavior,
  take: (start: number, end: number) => void,
): Splitter {
  switch (behavior) {
    case 'Isolated':
      return { add: take, finish: () => undefined };
    case 'Removed':
      return {
        add: (start, end, isMatch) => {
          if (!isMatch) take(start, end);
        },
        finish: () => undefined,
      };
    default:
      return new Joiner(joins[behavior], take);
  }
}

type JoinedBehavior = Exclude<SplitBehavior, 'Isolated' | 'Removed'>;

/** Whether a part is joined with the one before it. */
const joins: Readonly<Record<JoinedBehavior, (isMatch: boolean, previous: boolean) => boolean>> = {
  Contiguous: (isMatch, previous) => isMatch === previous,
  MergedWithPrevious: (isMatch, previous) => isMatch && !previous,
  MergedWithNext: (isMatch, previous) => !isMatch && previous,
};

class Joiner implements Splitter {
  #start = -1;
  #end = -1;
  #isMatch = false;

  constructor(
    private readonly joins: (isMatch: boolean, previous: boolean) => boolean,
    private readonly take: (start: number, end: number) => void,
  ) {}

  add(start: number, end: number, isMatch: boolean): void {
    if (this.#start < 0) this.#start = start;
    else if (!this.joins(isMatch, this.#isMatch)) {
      this.take(this.#start, this.#end);
      this.#start = start;
    }
    this.#end = end;
    this.#isMatch = isMatch;
  }

  finish(): void {
    if (this.#start >= 0) this.take(this.#start, this.#end);
  }
}
