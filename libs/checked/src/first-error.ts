/**
 * What went wrong first where more went wrong while `using` gave things back: JavaScript wraps the
 * two in a SuppressedError, whose own message says nothing. Any other error is its own first. Not
 * by class: runtimes without the class are given one that is like it.
 */
export function firstError(error: unknown): unknown {
  let first = error;
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first)
    first = first.suppressed;
  return first;
}
