/** Part of a text, in UTF-16 code units; `end` is the first that is not in it. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** Length of the longest common beginning. */
export function sharedPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

/** Length of the longest common ending. */
export function sharedSuffix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (
    length < most &&
    a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length)
  )
    length += 1;
  return length;
}

/** Ranges in order, those that touch or overlap joined, empty ones left out. */
export function joinRanges(ranges: readonly TextRange[]): TextRange[] {
  const joined: TextRange[] = [];
  const ordered = ranges.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  for (const range of ordered) {
    const last = joined.at(-1);
    if (last && range.start <= last.end)
      joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
    else joined.push(range);
  }
  return joined;
}
