/** A text with pieces replaced, and where its places have gone. */
export interface ReplacedText {
  readonly text: string;
  /** How many pieces there were. */
  readonly count: number;
  /** The new offset of one of the old text; within a piece: the start of what stands for it. */
  readonly moved: (offset: number) => number;
}

interface Piece {
  readonly start: number;
  readonly end: number;
  /** Of what stands for it. */
  readonly newStart: number;
  readonly newEnd: number;
}

/** @param replacementOf what stands for the piece with this number, from 0 */
export function replaceMarks(
  text: string,
  mark: string,
  replacementOf: (index: number) => string,
): ReplacedText {
  const pieces: Piece[] = [];
  let [result, place] = ['', 0];
  for (let start = text.indexOf(mark); start >= 0; start = text.indexOf(mark, place)) {
    result += text.slice(place, start);
    const newStart = result.length;
    result += replacementOf(pieces.length);
    place = start + mark.length;
    pieces.push({ start, end: place, newStart, newEnd: result.length });
  }
  const moved = (offset: number): number => {
    const before = pieces.findLast(({ start }) => start < offset);
    if (!before) return offset;
    const { end, newStart, newEnd } = before;
    return offset < end ? newStart : newEnd + offset - end;
  };
  return { text: result + text.slice(place), count: pieces.length, moved };
}
