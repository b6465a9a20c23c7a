import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';

import { DatasetError, RowError } from './errors.js';

/** One turn of a conversation. Fields beyond these two reach the template as they are. */
export interface ChatMessage {
  readonly role: string;
  /** Null only beside `tool_calls`. */
  readonly content: string | null;
  readonly [field: string]: unknown;
}

export interface RenderOptions {
  /** Ends with what makes the model answer as the assistant. */
  readonly addGenerationPrompt: boolean;
  /** Tool descriptions, in the form that the template expects. */
  readonly tools?: readonly unknown[];
}

export interface ChatTemplate {
  /** @throws RowError when the template refuses the conversation */
  render(messages: readonly ChatMessage[], options: RenderOptions): string;
}

/** What `raise_exception` of a template throws. */
class TemplateRefusal extends Error {}

/**
 * A Jinja chat template as transformers renders it (`trim_blocks`, `lstrip_blocks`,
 * `raise_exception`), but without `strftime_now`, so that equal rows give equal text on every day.
 * @param specialTokens values of `bos_token`, `eos_token` and the like; @param origin names the
 * file in errors
 * @throws DatasetError DATASET_TEMPLATE_INVALID
 */
export function compileChatTemplate(
  source: string,
  specialTokens: Readonly<Record<string, string>>,
  origin: string,
): ChatTemplate {
  const program = parseTemplate(source, origin);
  return {
    render: (messages, { addGenerationPrompt, tools }) => {
      const environment = createEnvironment();
      const variables = {
        ...specialTokens,
        messages,
        tools: tools ?? null,
        add_generation_prompt: addGenerationPrompt,
      };
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      try {
        return String(new Interpreter(environment).run(program).value);
      } catch (error) {
        throw new RowError(
          null,
          `the chat template refuses the conversation${reasonOf(error, source)}`,
        );
      }
    },
  };
}

function parseTemplate(source: string, origin: string): ReturnType<typeof parse> {
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `${origin}: the chat template cannot be parsed`,
      { cause },
    );
  }
}

function createEnvironment(): Environment {
  const environment = new Environment();
  for (const [name, value] of [
    ['true', true],
    ['false', false],
    ['none', null],
    ['True', true],
    ['False', false],
    ['None', null],
  ] as const) {
    environment.set(name, value);
  }
  environment.set('raise_exception', (reason: string) => {
    throw new TemplateRefusal(reason);
  });
  environment.set('range', range);
  return environment;
}

/** The template's own words, unless they may hold text of the row. */
function reasonOf(error: unknown, source: string): string {
  return error instanceof TemplateRefusal && source.includes(error.message)
    ? `: ${error.message}`
    : '';
}

function range(...bounds: number[]): number[] {
  const [start = 0, stop = 0, step = 1] = bounds.length === 1 ? [0, ...bounds] : bounds;
  if (step === 0) throw new RangeError('range() step is 0');
  return Array.from(
    { length: Math.max(0, Math.ceil((stop - start) / step)) },
    (_, i) => start + i * step,
  );
}
