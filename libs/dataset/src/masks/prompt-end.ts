/**
 * Where a generation prompt ends in what stands before a turn's own text; null where it is not
 * there. Of a prompt that is not there as a whole, as much counts as there is: its beginning (the
 * prompt opens the reasoning, the turn has none), or its end where that is more (the prompt closes
 * the turn before it, too).
 */
export function endOfPrompt(before: string, prompt: string): number | null {
  const [beginning, ending] = [beginningIn(before, prompt), endingAt(before, prompt)];
  if (beginning !== null && beginning.length >= ending) return beginning.end;
  return ending > 0 ? ending : null;
}

/** The longest beginning of the prompt, where it stands last; never part of a tag or a word. */
function beginningIn(before: string, prompt: string): { length: number; end: number } | null {
  for (let length = prompt.length; length > 0; length -= 1) {
    const beginning = prompt.slice(0, length);
    if (beginning.trim() === '') return null;
    if (isTorn(prompt, length)) continue;
    const at = before.lastIndexOf(beginning);
    if (at >= 0) return { length, end: at + length };
  }
  return null;
}

/** Length of the longest ending of the prompt with which the text begins. */
export function endingAt(before: string, prompt: string): number {
  for (let length = Math.min(prompt.length, before.length); length > 0; length -= 1) {
    const ending = prompt.slice(prompt.length - length);
    if (ending.trim() === '') return 0;
    if (!isTorn(prompt, prompt.length - length) && before.startsWith(ending)) return length;
  }
  return 0;
}

/** Whether a place of a text lies within a word or a tag such as `<|start|>` or `[INST]`. */
function isTorn(text: string, place: number): boolean {
  if (place === 0 || place === text.length) return false;
  const before = text.slice(0, place);
  const isInTag =
    before.lastIndexOf('<') > before.lastIndexOf('>') ||
    before.lastIndexOf('[') > before.lastIndexOf(']');
  return isInTag || /^\w\w$/.test(text.slice(place - 1, place + 1));
}
