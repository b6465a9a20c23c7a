import { PyDict } from '../jinja/index.js';
import type { Conversation, Segment } from '../rows/dataset-row.js';
import type { ChatTemplate, RowVariables } from '../templates/chat-template.js';
import { imageText, type ImageStyle } from './image-style.js';
import { replaceMarks } from './replace-marks.js';

/** Messages with their images as the template takes them. */
export function writeImages(
  { messages, imageTurns }: Conversation,
  style: ImageStyle,
): readonly PyDict[] {
  return messages.map((message, index) => {
    const segments = imageTurns.get(index);
    if (!segments) return message;
    const content = style.kind === 'text' ? textOf(segments) : partsOf(segments, style);
    return PyDict.fromEntries(
      [...message.entries()].map(([key, value]) => [key, key === 'content' ? content : value]),
    );
  });
}

/** A part's image ends its line, as it does in templates that take parts. */
function textOf(segments: readonly Segment[]): string {
  return segments
    .map((segment) => {
      if (segment.kind === 'text') return segment.text;
      return segment.isPart ? `${imageText}\n` : imageText;
    })
    .join('');
}

/** The line end behind an image in a text is the one that the template writes. */
function partsOf(
  segments: readonly Segment[],
  { endsLine }: Extract<ImageStyle, { kind: 'parts' }>,
): PyDict[] {
  return segments.flatMap((segment, index) => {
    if (segment.kind === 'image') return [PyDict.fromEntries([['type', 'image']])];
    const before = segments[index - 1];
    const isLineEnded = endsLine && before?.kind === 'image' && !before.isPart;
    const text = isLineEnded ? segment.text.replace(/^\r?\n/, '') : segment.text;
    return text === ''
      ? []
      : [
          PyDict.fromEntries([
            ['type', 'text'],
            ['text', text],
          ]),
        ];
  });
}

/** What renders conversations. */
export type ConversationTemplate = Pick<
  ChatTemplate,
  'render' | 'hasGenerationMarks' | 'knowsGenerationPrompt'
>;

/** A template whose placeholders for images become what the model has for them. */
export function withImageText(template: ChatTemplate, style: ImageStyle): ConversationTemplate {
  if (style.kind === 'text' || style.placeholder === imageText) return template;
  const { hasGenerationMarks, knowsGenerationPrompt } = template;
  return {
    hasGenerationMarks,
    knowsGenerationPrompt,
    render(
      messages: readonly PyDict[],
      row: RowVariables,
      options: Parameters<ChatTemplate['render']>[2],
    ) {
      const rendering = template.render(messages, row, options);
      const { text, moved } = replaceMarks(rendering.text, style.placeholder, () => imageText);
      return {
        ...rendering,
        text,
        generations: rendering.generations.map(({ start, end }) => ({
          start: moved(start),
          end: moved(end),
        })),
        itemOffsets: new Map(
          [...rendering.itemOffsets].map(([item, offset]) => [item, moved(offset)]),
        ),
      };
    },
  };
}
