import { DatasetError, RowError } from '../errors.js';
import { PyDict } from '../jinja/index.js';
import type { ChatTemplate } from '../templates/chat-template.js';

/** What an image is in the text of a row: its context token becomes as many as it has. */
export const contextText = '<IMG_CONTEXT>';
export const imageTokens = ['<img>', contextText, '</img>'] as const;
export const imageText = imageTokens.join('');

/** How a template takes images. */
export type ImageStyle =
  /** As text of a message. */
  | { readonly kind: 'text' }
  /** As parts, for each of which it writes the placeholder. */
  | {
      readonly kind: 'parts';
      readonly placeholder: string;
      /** Whether it ends the line behind it. */
      readonly endsLine: boolean;
    };

/** The longest first, since it has the others in it. */
const placeholders = [imageText, contextText, '<image>'];

/** Stands for a text behind an image; no text has it. */
const probe = '\u{f8fd}';

/**
 * Sees what the template writes for an image and a text as parts.
 * @throws DatasetError DATASET_TEMPLATE_INVALID where it writes something else than the model has
 */
export function imageStyleOf(template: ChatTemplate): ImageStyle {
  const part = (type: string, more: readonly [string, string][] = []): PyDict =>
    PyDict.fromEntries([['type', type], ...more]);
  const text = part('text', [['text', probe]]);
  const withImage = rendered(template, [part('image'), text]);
  const without = rendered(template, [text]);
  // A template that takes only texts writes a list as Python does, or refuses it.
  const takesParts = withImage !== null && without !== null && !/['"]type['"]/.test(without);
  if (!takesParts || !without.includes(probe) || withImage === without) return { kind: 'text' };
  const placeholder = placeholders.find((each) => count(withImage, each) > count(without, each));
  if (placeholder === undefined)
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `${template.origin}: the chat template writes none of ${placeholders.join(', ')} for an image`,
    );
  const end = withImage.indexOf(probe);
  return { kind: 'parts', placeholder, endsLine: withImage[end - 1] === '\n' };
}

function rendered(template: ChatTemplate, parts: PyDict[]): string | null {
  const message = PyDict.fromEntries([
    ['role', 'user'],
    ['content', parts],
  ]);
  const row = { tools: null, documents: null, templateArguments: null };
  try {
    return template.render([message], row, { addGenerationPrompt: false }).text;
  } catch (error) {
    if (error instanceof RowError) return null;
    throw error;
  }
}

function count(text: string, piece: string): number {
  return text.split(piece).length - 1;
}
