/** A text with pieces replaced, and where its places have gone. */
export interface ReplacedText {
  readonly text: string;
  /** How many pieces there were. */
  readonly count: number;
  /** The new offset of one of the old text; within a piece: the start of what stands for it. */
  readonly moved: (offset: number) => number;
}

/** @param replacementOf what stands for the piece with this number, from 0 */
export function replaceMarks(
  text: string,
  mark: string,
  replacementOf: (index: number) => string,
): ReplacedText {
  const pieces: { readonly start: number; readonly end: number; readonly shift: number }[] = [];
  let [result, place] = ['', 0];
  for (let start = text.indexOf(mark); start >= 0; start = text.indexOf(mark, place)) {
    result += text.slice(place, start) + replacementOf(pieces.length);
    place = start + mark.length;
    pieces.push({ start, end: place, shift: result.length - place });
  }
  const moved = (offset: number): number => {
    const before = pieces.findLast(({ start }) => start < offset);
    if (!before) return offset;
    if (offset >= before.end) return offset + before.shift;
    return before.start + (pieces[pieces.indexOf(before) - 1]?.shift ?? 0);
  };
  return { text: result + text.slice(place), count: pieces.length, moved };
}
