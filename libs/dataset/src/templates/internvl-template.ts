import { DatasetError } from '../errors.js';
import type { TemplateSource } from './find-templates.js';

/** What InternVL2.5 says where nobody says something else. */
const systemText =
  '你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。';

/** Ends a turn, and what the model says. */
export const endOfTurn = '<|im_end|>';

export interface NamedTemplateOptions {
  /** Name in the model's config. */
  readonly name: string;
  /** In place of the template's own; null: that. */
  readonly systemMessage: string | null;
  /** What the tokenizer puts before a text. */
  readonly start: string;
}

/**
 * The template of the original InternVL repositories, which have it in their code.
 * @throws DatasetError DATASET_TEMPLATE_INVALID for another name
 */
export function namedTemplate({
  name,
  systemMessage,
  start,
}: NamedTemplateOptions): TemplateSource {
  if (name !== 'internvl2_5')
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `config.json: the prompt's template ${JSON.stringify(name.slice(0, 100))} is not known, only "internvl2_5" is; give its Jinja form with --chat-template`,
    );
  const write = (text: string): string => `{{- ${JSON.stringify(text)} }}`;
  const source = [
    '{%- macro written(content) %}{% if content is string %}{{ content }}{% elif content %}',
    '{% for part in content %}{{ part.text }}{% endfor %}{% endif %}{% endmacro %}',
    write(start),
    "{%- if not messages or messages[0].role != 'system' %}",
    write(`<|im_start|>system\n${systemMessage ?? systemText}${endOfTurn}\n`),
    '{%- endif %}{%- for message in messages %}',
    `${write('<|im_start|>')}{{ message.role }}${write('\n')}`,
    "{%- if message.role == 'assistant' %}{% generation %}",
    `{{ written(message.content) }}${write(endOfTurn)}{%- endgeneration %}`,
    `{%- else %}{{ written(message.content) }}${write(endOfTurn)}{%- endif %}`,
    `${write('\n')}{%- endfor %}`,
    `{%- if add_generation_prompt %}${write('<|im_start|>assistant\n')}{%- endif %}`,
  ].join('');
  return { name: 'default', source, origin: `the built-in template ${name}` };
}
