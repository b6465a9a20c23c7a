import { get } from '@emloc/checked';

import type { RenderedConversation } from './rendered-conversation.js';
import type { TextRange } from './text-range.js';
import { isRange, type TurnBorders, type TurnRange } from './turn-ranges.js';

/** With more turns than this, only some are found by rendering the conversation up to them. */
const exactTurns = 32;
/** Of each kind of turn, so many from the beginning and from the end are. */
const examplesOfKind = 3;

/**
 * The ranges of turns. Rendering a conversation up to each of very many takes a time that grows
 * with the square of their number; so turns are sorted into kinds (by the fields of a message and
 * its neighbours), some of each kind are found by rendering, and where those lie alike within what
 * the template's own loop writes for their messages, so do the others of that kind.
 */
export function rangesOfTurns(
  conversation: RenderedConversation,
  borders: TurnBorders,
  turns: readonly number[],
): readonly TurnRange[] {
  if (turns.length <= exactTurns) return turns.map((turn) => borders.rangeOf(turn));
  const ranges = new Map<number, TurnRange>();
  for (const alike of turnsByKind(conversation, turns).values())
    for (const [turn, range] of rangesOfKind(conversation, borders, alike)) ranges.set(turn, range);
  return turns.map((turn) => get(ranges, turn));
}

function turnsByKind(
  conversation: RenderedConversation,
  turns: readonly number[],
): Map<string, number[]> {
  const kinds = new Map<string, number[]>();
  for (const turn of turns) {
    const kind = kindOf(conversation, turn);
    const alike = kinds.get(kind);
    if (alike) alike.push(turn);
    else kinds.set(kind, [turn]);
  }
  return kinds;
}

function kindOf({ messages }: RenderedConversation, turn: number): string {
  const around = [turn - 1, turn, turn + 1].map((index) => messages[index]);
  return JSON.stringify(
    around.map((message) => message && [message.get('role'), [...message.keys()]].map(String)),
  );
}

function* rangesOfKind(
  conversation: RenderedConversation,
  borders: TurnBorders,
  alike: readonly number[],
): Generator<readonly [number, TurnRange]> {
  const examples = new Map(
    [...alike.slice(0, examplesOfKind), ...alike.slice(-examplesOfKind)].map((turn) => [
      turn,
      borders.rangeOf(turn),
    ]),
  );
  const frames = [...examples].map(([turn, range]) => frameOf(conversation, turn, range));
  const [frame] = frames;
  const isAlike = frames.every(
    (other) => frame && other && frame.header === other.header && frame.rest === other.rest,
  );
  for (const turn of alike)
    yield [
      turn,
      examples.get(turn) ??
        ((isAlike && frame && rangeIn(conversation, turn, frame)) || borders.rangeOf(turn)),
    ];
}

/** What the template's loop writes for a message before and after what is learned of it. */
interface Frame {
  readonly header: string;
  readonly rest: string;
}

function frameOf(conversation: RenderedConversation, turn: number, range: TurnRange): Frame | null {
  const written = writtenFor(conversation, turn);
  if (!isRange(range) || !written) return null;
  if (range.start < written.start || range.end > written.end) return null;
  return {
    header: conversation.text.slice(written.start, range.start),
    rest: conversation.text.slice(range.end, written.end),
  };
}

function rangeIn(
  conversation: RenderedConversation,
  turn: number,
  { header, rest }: Frame,
): TextRange | null {
  const written = writtenFor(conversation, turn);
  if (!written) return null;
  const range = { start: written.start + header.length, end: written.end - rest.length };
  const { text } = conversation;
  return range.start <= range.end &&
    text.startsWith(header, written.start) &&
    text.startsWith(rest, range.end)
    ? range
    : null;
}

function writtenFor(conversation: RenderedConversation, turn: number): TextRange | null {
  const [start, end] = [conversation.offsetOf(turn), conversation.offsetOf(turn + 1)];
  return start === undefined || end === undefined || end < start ? null : { start, end };
}
