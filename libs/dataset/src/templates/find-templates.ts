import { join } from 'node:path';

import { DatasetError } from '../errors.js';
import {
  isJsonObject,
  listNames,
  readJsonObject,
  readText,
  type JsonObject,
} from './model-files.js';

/** A chat template's source, and where it was found. */
export interface TemplateSource {
  /** `default`, `tool_use` or a name of the model's makers. */
  readonly name: string;
  readonly source: string;
  readonly origin: string;
}

const extension = '.jinja';

/**
 * The chat templates of a model folder by name, as transformers looks for them:
 * `chat_template.jinja` and `additional_chat_templates/NAME.jinja`; for names that these have not,
 * `chat_template` of `tokenizer_config.json` (a text, or a list of named ones); with none of all,
 * `chat_template.json`.
 * @throws DatasetError DATASET_TEMPLATE_INVALID, DATASET_TOKENIZER_INVALID
 */
export async function findChatTemplates(
  folder: string,
  tokenizerConfig: JsonObject,
): Promise<ReadonlyMap<string, TemplateSource>> {
  const found = new Map<string, TemplateSource>();
  const add = (template: TemplateSource): void => {
    if (!found.has(template.name)) found.set(template.name, template);
  };
  for (const template of await templateFiles(folder)) add(template);
  const hasDefaultFile = found.has('default');
  if (!hasDefaultFile)
    for (const template of configured(tokenizerConfig, join(folder, 'tokenizer_config.json')))
      add(template);
  if (found.size === 0)
    for (const template of configured(
      (await readJsonObject(folder, 'chat_template.json')) ?? {},
      join(folder, 'chat_template.json'),
    ))
      add(template);
  return found;
}

async function templateFiles(folder: string): Promise<TemplateSource[]> {
  const more = (await listNames(folder, 'additional_chat_templates'))
    .filter((file) => file.endsWith(extension))
    .map((file) => ({
      name: file.slice(0, -extension.length),
      file: join('additional_chat_templates', file),
    }));
  const files = [{ name: 'default', file: 'chat_template.jinja' }, ...more];
  const read = await Promise.all(
    files.map(async ({ name, file }) => ({
      name,
      source: await readText(folder, file),
      origin: join(folder, file),
    })),
  );
  return read.flatMap(({ name, source, origin }) =>
    source === null ? [] : [{ name, source, origin }],
  );
}

function configured({ chat_template: template }: JsonObject, origin: string): TemplateSource[] {
  if (template === undefined || template === null) return [];
  if (typeof template === 'string') return [{ name: 'default', source: template, origin }];
  if (!Array.isArray(template)) throw malformed(origin);
  return template.map((entry: unknown) => {
    if (
      !isJsonObject(entry) ||
      typeof entry.name !== 'string' ||
      typeof entry.template !== 'string'
    )
      throw malformed(origin);
    return { name: entry.name, source: entry.template, origin };
  });
}

function malformed(origin: string): DatasetError {
  return new DatasetError(
    'DATASET_TEMPLATE_INVALID',
    `${origin}: chat_template is neither text nor a list of objects with name and template`,
  );
}
