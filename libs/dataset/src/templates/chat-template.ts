import { DatasetError, RowError, RowLimitError } from '../errors.js';
import {
  compileTemplate,
  TemplateError,
  TemplateSyntaxError,
  type CalendarDate,
  type PyDict,
  type PyValue,
  type Rendering,
  type Template,
} from '../jinja/index.js';
import type { TemplateSource } from './find-templates.js';

/** Ten times what the longest templates have; a rendering takes time for each. */
const maxCharacters = 2 ** 18;
/** Of a template's own words. */
const mostQuoted = 1000;

/** What stays the same for all rows of a job. */
export interface TemplateSettings {
  /** Special tokens by name. */
  readonly variables: Readonly<Record<string, PyValue>>;
  /** `--template-args`. */
  readonly templateArguments: PyDict | null;
  readonly date: CalendarDate;
}

/** What a row brings beside its messages. */
export interface RowVariables {
  readonly tools: PyValue[] | null;
  readonly documents: PyValue[] | null;
  readonly templateArguments: PyDict | null;
}

export interface RenderOptions {
  /** Ends with what makes the model answer as the assistant. */
  readonly addGenerationPrompt: boolean;
  /** Messages whose place in the text is asked for. */
  readonly trackItems?: ReadonlySet<PyValue>;
  /** Time that the row still has, in milliseconds. */
  readonly timeMs?: number;
}

/** A chat template as transformers renders it. */
export class ChatTemplate {
  readonly name: string;
  /** File that it comes from. */
  readonly origin: string;
  readonly #template: Template;

  /** @throws DatasetError DATASET_TEMPLATE_INVALID */
  constructor(
    { name, source, origin }: TemplateSource,
    private readonly settings: TemplateSettings,
  ) {
    this.name = name;
    this.origin = origin;
    this.#template = compile(source, origin);
    this.#source = source;
  }

  readonly #source: string;

  /** Whether it marks by `{% generation %}` what the model writes. */
  get hasGenerationMarks(): boolean {
    return this.#template.hasGenerationMarks;
  }

  /** Whether it asks for a generation prompt at all. */
  get knowsGenerationPrompt(): boolean {
    return this.#source.includes('add_generation_prompt');
  }

  /** @throws RowError when the template refuses the conversation */
  render(
    messages: readonly PyDict[],
    row: RowVariables,
    { addGenerationPrompt, trackItems, timeMs }: RenderOptions,
  ): Rendering {
    const { variables, templateArguments, date } = this.settings;
    const all = {
      ...variables,
      ...argumentsOf(templateArguments),
      ...argumentsOf(row.templateArguments),
      messages: [...messages],
      tools: row.tools,
      documents: row.documents,
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      return this.#template.render(all, {
        date,
        trackItems,
        ...(timeMs === undefined ? {} : { limits: { timeMs } }),
      });
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw this.#refusal(error);
    }
  }

  /** The template's own words are no text of the row where they stand in its source. */
  #refusal({ kind, message }: TemplateError): RowError {
    if (kind === 'limit')
      return new RowLimitError(null, `the chat template goes beyond a limit: ${message}`);
    const reason = 'the chat template refuses the conversation';
    return message === '' || this.#source.includes(message)
      ? new RowError(null, message === '' ? reason : `${reason}: ${short(message)}`)
      : new RowError(null, reason, short(message));
  }
}

function argumentsOf(values: PyDict | null): Readonly<Record<string, PyValue>> {
  return values === null
    ? {}
    : Object.fromEntries([...values.entries()].map(([name, value]) => [String(name), value]));
}

function short(words: string): string {
  return words.length > mostQuoted ? `${words.slice(0, mostQuoted)}…` : words;
}

function compile(source: string, origin: string): Template {
  if (source.length > maxCharacters)
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `${origin}: the chat template has ${source.length} characters, at most ${maxCharacters} are read`,
    );
  try {
    return compileTemplate(source);
  } catch (cause) {
    if (!(cause instanceof TemplateSyntaxError)) throw cause;
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `${origin}:${cause.line}: the chat template cannot be used: ${short(cause.reason)}`,
      { cause },
    );
  }
}
