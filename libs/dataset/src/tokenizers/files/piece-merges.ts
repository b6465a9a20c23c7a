import { TokenizerError } from '../errors.js';

/** Longer pieces have more ways to be made than can be tried. In characters. */
const longestPiece = 1024;

interface Merge {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  readonly leftLength: number;
  readonly rightLength: number;
}

/**
 * Every way to make a piece of two others, in the order in which they are tried: by the score of
 * the piece, downwards; of one score those with the longer left side first.
 * @throws TokenizerError
 */
export function pieceMerges(
  pieces: readonly (readonly [string, number])[],
  file: string,
): readonly (readonly [string, string])[] {
  const known = new Map(pieces);
  const merges: Merge[] = [];
  for (const [piece, score] of known) addMerges(piece, score, { known, merges, file });
  merges.sort(
    (a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength,
  );
  return merges.map(({ left, right }) => [left, right]);
}

interface MergeSearch {
  readonly known: ReadonlyMap<string, number>;
  readonly merges: Merge[];
  readonly file: string;
}

function addMerges(piece: string, score: number, { known, merges, file }: MergeSearch): void {
  const characters = Array.from(piece);
  if (characters.length > longestPiece)
    throw new TokenizerError(
      file,
      'pieces',
      `one has ${characters.length} characters, the limit is ${longestPiece}`,
    );
  let end = 0;
  characters.slice(0, -1).forEach((character, i) => {
    end += character.length;
    const [left, right] = [piece.slice(0, end), piece.slice(end)];
    if (!known.has(left) || !known.has(right)) return;
    const rightLength = characters.length - i - 1;
    merges.push({ left, right, score, leftLength: i + 1, rightLength });
  });
}
