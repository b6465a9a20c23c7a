import { at } from '@emloc/checked';

import { RowError } from '../../errors.js';
import { PyDict, type PyValue } from '../../jinja/index.js';
import type { Conversation, ImageTurns, RowContent, Segment } from '../dataset-row.js';
import { isAssistant, isImagePart } from '../messages.js';
import { turnsOf } from '../turns-of.js';
import { columnImages } from './image-columns.js';
import { imageReference, type ImageReference } from './image-reference.js';

/** What a text has where an image is shown. */
const placeholder = '<image>';

interface PlacedImages {
  readonly content: RowContent;
  readonly images: readonly ImageReference[];
}

/**
 * Finds where a conversation shows the images of its row. `<image>` in a text, and a part that
 * names no image, stand for the next image of the row's column; a row with one image and no place
 * for it shows it before the first text of the user.
 * @throws RowError where places and images differ in number
 */
export function placeImages(row: PyDict, content: RowContent): PlacedImages {
  const column = columnImages(row);
  if (content.kind === 'text') return withoutImages(content, column);
  const conversation = content.kind === 'conversation' ? content : turnsOf(content);
  const turns = conversation.messages.map((message, index) =>
    placesOf(message, conversation.fieldOf(index)),
  );
  if (column.length === 0 && turns.every(({ places }) => places.length === 0))
    return { content, images: [] };
  assertNotByAssistant(conversation);
  const placed = turns.some(({ places }) => places.length > 0)
    ? turns
    : withFirst(turns, conversation, column);
  return {
    content: { kind: 'conversation', ...conversation, imageTurns: imageTurns(placed) },
    images: fill(placed, column),
  };
}

/** @throws RowError where there are images: a text alone says nothing of where they are shown */
function withoutImages(content: RowContent, column: readonly ImageReference[]): PlacedImages {
  const [first] = column;
  if (first === undefined) return { content, images: [] };
  throw new RowError(first.field, 'cannot stand beside text: images are shown in conversations');
}

/** A place of an image: what it names itself, or null for the next of the column. */
interface Place {
  readonly field: string;
  readonly own: ImageReference | null;
}

interface PlacedTurn {
  readonly segments: readonly Segment[];
  readonly places: readonly Place[];
}

const nothing: PlacedTurn = { segments: [], places: [] };

function placesOf(message: PyDict, field: string): PlacedTurn {
  const content = message.get('content') ?? null;
  if (isAssistant(message)) return nothing;
  if (typeof content === 'string') return textPlaces(content, field);
  if (!Array.isArray(content)) return nothing;
  return joined(content.map((part, index) => partPlaces(part, `${field}.content[${index}]`)));
}

function textPlaces(whole: string, field: string): PlacedTurn {
  const texts = whole.split(placeholder);
  return {
    segments: texts.flatMap((text, index): Segment[] => [
      ...(index === 0 ? [] : [{ kind: 'image', isPart: false } as const]),
      ...(text === '' ? [] : [{ kind: 'text', text } as const]),
    ]),
    places: texts.slice(1).map(() => ({ field, own: null })),
  };
}

function partPlaces(part: PyValue, field: string): PlacedTurn {
  if (!(part instanceof PyDict)) return nothing;
  if (!isImagePart(part)) return textPlaces(String(part.get('text')), field);
  const own = imageReference(part, field);
  return { segments: [{ kind: 'image', isPart: true }], places: [{ field, own }] };
}

function joined(turns: readonly PlacedTurn[]): PlacedTurn {
  return {
    segments: turns.flatMap(({ segments }) => segments),
    places: turns.flatMap(({ places }) => places),
  };
}

/** @throws RowError */
function assertNotByAssistant({ messages, fieldOf }: Conversation): void {
  messages.forEach((message, index) => {
    const content = message.get('content') ?? null;
    const texts = Array.isArray(content)
      ? content.map((part) => (part instanceof PyDict ? part.get('text') : null))
      : [content];
    if (
      isAssistant(message) &&
      texts.some((text) => typeof text === 'string' && text.includes(placeholder))
    )
      throw new RowError(
        fieldOf(index),
        `has ${placeholder}: the assistant shows no images, only what it answers to does`,
      );
  });
}

/** @throws RowError */
function withFirst(
  turns: readonly PlacedTurn[],
  { messages, fieldOf }: Conversation,
  column: readonly ImageReference[],
): readonly PlacedTurn[] {
  const first = messages.findIndex((message) => message.get('role') === 'user');
  if (column.length !== 1 || first < 0)
    throw new RowError(
      null,
      first < 0
        ? 'has an image, and no turn of the user that shows it'
        : `has ${column.length} images and no ${placeholder} that says where they are shown`,
    );
  const isList = Array.isArray(at(messages, first).get('content'));
  const field = fieldOf(first);
  const shown: PlacedTurn = isList
    ? { segments: [{ kind: 'image', isPart: true }], places: [{ field, own: null }] }
    : textPlaces(`${placeholder}\n`, field);
  return turns.map((turn, index) => (index === first ? joined([shown, turn]) : turn));
}

function imageTurns(turns: readonly PlacedTurn[]): ImageTurns {
  return new Map(
    turns.flatMap(({ segments, places }, index) =>
      places.length > 0 ? [[index, segments] as const] : [],
    ),
  );
}

/** @throws RowError */
function fill(
  turns: readonly PlacedTurn[],
  column: readonly ImageReference[],
): readonly ImageReference[] {
  const places = turns.flatMap((turn) => turn.places);
  const bare = places.filter(({ own }) => own === null);
  if (bare.length !== column.length)
    throw new RowError(
      bare.at(0)?.field ?? null,
      `has ${bare.length} ${placeholder} or parts without an image of their own, for ${column.length} images of image or images`,
    );
  let next = 0;
  return places.map(({ own }) => own ?? at(column, next++));
}
