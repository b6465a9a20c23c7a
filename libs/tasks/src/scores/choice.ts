import { ScoreError } from './errors.js';
import { matchingRatio } from './matching-ratio.js';
import { indexOfLetter, letterOf, readOptions, type Options } from './option-labels.js';
import { parseFloatText, strip, words } from './python-text.js';

/** What stands before an option that is named in a sentence. */
const introduction =
  /^(?:the )?(?:correct |best |final |right )?(?:answer|option|choice)(?: is:? |: ?| )(?:option )?/i;
/** A letter alone, in brackets or emphasis, or before a mark: `B`, `(b)`, `**B**`, `B. liver`. */
const letterForm = /^[([*"']*([a-z])(?:[)\]*"':.]*$|[)\]*"':.]+ |[):])/i;
/** A whole number alone, or before a mark that no digit follows. */
const numberForm = /^\+?(\p{Nd}+)(?:$|[.):](?!\p{Nd}))/u;

/**
 * Whether the answer chooses the option of one of the golds, 1 or 0. Without options the question
 * is an open one: 1 where a gold stands in the answer, ignoring case.
 * @throws ScoreError SCORE_INVALID_REFERENCE for a gold that is no option
 */
export function choiceAccuracy(
  prediction: string,
  golds: readonly string[],
  options?: readonly string[],
): number {
  if (options === undefined) return golds.some((gold) => contains(prediction, gold)) ? 1 : 0;
  const read = readOptions(options);
  const expected = goldOptions(golds, read);
  const isNumbered = read.isNumbered || expected.some(({ isNumber }) => isNumber);
  const chosen = chosenOption(prediction, { texts: read.texts, isNumbered });
  return expected.some(({ index }) => index === chosen) ? 1 : 0;
}

/** @throws ScoreError SCORE_INVALID_REFERENCE for a gold that is no option */
export function assertGoldsAreOptions(
  golds: readonly string[],
  options: readonly string[] | undefined,
): void {
  if (options !== undefined) goldOptions(golds, readOptions(options));
}

/**
 * The option that an answer means, null for none: by its letter, by its text, by its number. After
 * that, numbered options by the begin of a text, as WorldCuisines has it; others by the most
 * similar text, the first of equals, as PMC-VQA has it.
 */
function chosenOption(prediction: string, options: Options): number | null {
  const named = byLetter(prediction, options) ?? byText(prediction, options);
  if (named !== null) return named;
  if (options.isNumbered) return byNumber(prediction, options) ?? byBegin(prediction, options);
  const isNumberClear = !options.texts.some((text) => /^\p{Nd}/u.test(text));
  return (isNumberClear ? byNumber(prediction, options) : null) ?? mostSimilar(prediction, options);
}

function goldOptions(
  golds: readonly string[],
  options: Options,
): { readonly index: number; readonly isNumber: boolean }[] {
  return golds.map((gold, position) => {
    const named = byLetter(gold, options) ?? byText(gold, options);
    const index = named ?? byNumber(gold, options);
    if (index !== null) return { index, isNumber: named === null };
    const count = options.texts.length;
    throw new ScoreError(
      'SCORE_INVALID_REFERENCE',
      `gold answer ${position + 1} of ${golds.length} is none of the ${count} options: it has to ` +
        `be a letter up to ${letterOf(count - 1)}, a number from 1 to ${count} or an option's text`,
    );
  });
}

function byLetter(answer: string, { texts }: Options): number | null {
  const letter = letterForm.exec(withoutIntroduction(answer))?.[1];
  return letter === undefined ? null : indexOfLetter(letter, texts.length);
}

function byText(answer: string, { texts }: Options): number | null {
  const forms = [answer, withoutIntroduction(answer)].map(comparable);
  const index = texts.findIndex((text) => forms.includes(comparable(text)));
  return index < 0 ? null : index;
}

function byNumber(answer: string, { texts }: Options): number | null {
  const number = parseFloatText(numberForm.exec(withoutIntroduction(answer))?.[1] ?? '');
  return number !== null && number >= 1 && number <= texts.length ? number - 1 : null;
}

function byBegin(answer: string, { texts }: Options): number | null {
  const begin = strip(answer.replaceAll('.', '')).toLowerCase();
  const index = texts.findIndex((text) => text.toLowerCase().startsWith(begin));
  return begin === '' || index < 0 ? null : index;
}

function mostSimilar(answer: string, { texts }: Options): number | null {
  const ratios = texts.map((text) => matchingRatio(text, strip(answer)));
  const highest = Math.max(...ratios);
  return highest > 0 ? ratios.indexOf(highest) : null;
}

function withoutIntroduction(answer: string): string {
  return words(answer).join(' ').replace(introduction, '');
}

/** An answer without the differences that a reader does not see as such. */
function comparable(text: string): string {
  return words(text.toLowerCase()).join(' ').replace(/\.+$/, '');
}

/** An empty gold stands in an empty answer alone. */
function contains(prediction: string, gold: string): boolean {
  const [text, part] = [prediction.toLowerCase(), strip(gold).toLowerCase()];
  return part === '' ? strip(text) === '' : text.includes(part);
}
