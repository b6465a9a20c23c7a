const [mostOpen, mostIndicators, mostIndented, mostMarks] = [100, 100, 200, 50_000];

/**
 * Why a text may be YAML that is too much for the parser, null where it is not: the parser calls
 * itself for what stands in a value, and where that is deep enough it ends the process; its time
 * grows with the square of some marks. More is refused than has to be, far beyond what any
 * configuration has.
 */
export function burdenOf(text: string): string | null {
  const marks = countOf(text, ',:&!*%#?"\'[]{}\n-');
  if (marks > mostMarks) return `it has ${marks} marks of YAML, more than ${mostMarks}`;
  let open = 0;
  for (const [index, line] of text.split('\n').entries()) {
    for (const [bracket] of line.matchAll(/[[\]{}]/g)) {
      open = Math.max(0, open + ('[{'.includes(bracket) ? 1 : -1));
      if (open > mostOpen) return `line ${index + 1} has more than ${mostOpen} open brackets`;
    }
    if (line.search(/[^ \t]|$/) > mostIndented)
      return `line ${index + 1} is indented by more than ${mostIndented}`;
    if ((line.match(/(?<!\S)[-?:](?!\S)/g)?.length ?? 0) > mostIndicators)
      return `line ${index + 1} has more than ${mostIndicators} of "-", "?" and ":"`;
  }
  return null;
}

/** Without a list of them, which may be millions. */
function countOf(text: string, characters: string): number {
  const counted = new Set(characters);
  let count = 0;
  for (let i = 0; i < text.length; i += 1) if (counted.has(text.charAt(i))) count += 1;
  return count;
}
