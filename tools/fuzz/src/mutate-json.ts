import { at } from '@emloc/checked';

import type { Dice } from './dice.js';
import { hostileNumber, hostileText, hostileValue } from './hostile.js';
import { copyLoose, loosen, LooseObject, writeLoose } from './loose-json.js';
import { mutateText } from './mutate-text.js';

/** Nodes of a document that are looked at. */
const mostNodes = 5000;

/** A place in a document. */
interface Slot {
  readonly holder: unknown[] | LooseObject;
  readonly index: number;
}

/** The text of a document with one to three changes. */
export function mutateJson(
  document: unknown,
  dice: Dice,
  fragments: readonly string[] = [],
): string {
  const root: unknown[] = [loosen(document)];
  const edits = 1 + dice.below(3);
  for (let i = 0; i < edits; i += 1) {
    // The whole document may be taken away.
    if (root.length === 0) root.push(null);
    edit(slotsOf(root), { dice, fragments });
  }
  const text = root.length === 0 ? '' : writeLoose(root[0]);
  return dice.chance(0.05)
    ? mutateText(text, dice, ['{', '}', '[', ']', '"', ',', ':', '\\'])
    : text;
}

function slotsOf(root: unknown[]): Slot[] {
  const slots: Slot[] = [{ holder: root, index: 0 }];
  for (let i = 0; i < slots.length && slots.length < mostNodes; i += 1) {
    const value = read(at(slots, i));
    const length = Array.isArray(value)
      ? value.length
      : value instanceof LooseObject
        ? value.entries.length
        : 0;
    for (let index = 0; index < length; index += 1)
      slots.push({ holder: value as Slot['holder'], index });
  }
  return slots;
}

function read({ holder, index }: Slot): unknown {
  return Array.isArray(holder) ? at(holder, index) : at(holder.entries, index)[1];
}

function write({ holder, index }: Slot, value: unknown): void {
  if (Array.isArray(holder)) holder[index] = value;
  else at(holder.entries, index)[1] = value;
}

interface EditOptions {
  readonly dice: Dice;
  /** Texts that mean something to whoever reads the document. */
  readonly fragments: readonly string[];
}

function edit(slots: readonly Slot[], { dice, fragments }: EditOptions): void {
  const slot = dice.pick(slots);
  const { holder, index } = slot;
  const value = read(slot);
  const kind = dice.below(100);
  if (kind < 25 && typeof value === 'string')
    write(slot, dice.chance(0.5) ? mutateText(value, dice, fragments) : hostileText(dice));
  else if (kind < 25 && typeof value === 'number')
    write(slot, dice.chance(0.5) ? value + dice.pick([-1, 1, 0.5]) : hostileNumber(dice));
  else if (kind < 55) write(slot, hostileValue(dice));
  else if (kind < 65) write(slot, copyLoose(read(dice.pick(slots))));
  else if (kind < 75 && fragments.length > 0) write(slot, dice.pick(fragments));
  else if (kind < 85) (Array.isArray(holder) ? holder : holder.entries).splice(index, 1);
  else if (Array.isArray(holder)) repeat(holder, index, dice);
  else editKey(holder, index, dice);
}

function repeat(list: unknown[], index: number, dice: Dice): void {
  const item = list[index];
  const count = dice.pick([1, 1, 3, 100, 2000]);
  if (list.length < 10_000)
    list.splice(index, 0, ...Array.from({ length: count }, () => copyLoose(item)));
}

function editKey({ entries }: LooseObject, index: number, dice: Dice): void {
  const [key, value] = at(entries, index);
  if (dice.chance(0.4))
    entries.push([key, dice.chance(0.5) ? copyLoose(value) : hostileValue(dice)]);
  else if (dice.chance(0.5)) entries[index] = [hostileText(dice), value];
  else entries.push([hostileText(dice), hostileValue(dice)]);
}
