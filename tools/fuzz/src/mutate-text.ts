import type { Dice } from './dice.js';

/** A text with one to four changes: fragments put in, parts cut, doubled or moved, characters. */
export function mutateText(text: string, dice: Dice, fragments: readonly string[]): string {
  let changed = text;
  for (let edits = 1 + dice.below(4); edits > 0; edits -= 1)
    changed = edit(changed, dice, fragments);
  return changed;
}

function edit(text: string, dice: Dice, fragments: readonly string[]): string {
  const start = dice.below(text.length + 1);
  const end = Math.min(text.length, start + 1 + dice.below(40));
  const [before, part, after] = [text.slice(0, start), text.slice(start, end), text.slice(end)];
  const kind = dice.below(100);
  if (kind < 40 && fragments.length > 0) return before + dice.pick(fragments) + part + after;
  if (kind < 60) return before + after;
  if (kind < 75) return before + part.repeat(dice.pick([2, 2, 3, 50])) + after;
  if (kind < 85) return part + before + after;
  return (
    before + String.fromCharCode(dice.below(dice.pick([128, 128, 0x3000, 0x10000]))) + part + after
  );
}
