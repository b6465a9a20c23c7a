import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  compileTemplate,
  TemplateError,
  TemplateSyntaxError,
  type Template,
} from '@emloc/dataset/jinja';

import { readCases, type JinjaCase } from './cases.js';

/** What a rendering came to: its text, or why it was refused. */
type Outcome = { readonly text: string } | { readonly refusal: string };

/**
 * Renders the templates DIR/NAME.jinja with the conversations of DIR/cases.jsonl, and compares with
 * what jinja2 made of them.
 */
export function check([folder, ...rest]: readonly string[]): Promise<boolean> {
  if (folder === undefined || rest.length > 0)
    throw new Error('usage: npm run -s check:jinja -- DIR');
  const templates = new Map<string, Template | string>();
  let equal = 0;
  let wrong = 0;
  for (const entry of readCases(folder)) {
    // Texts with the address of an object differ each time.
    if (entry.text !== undefined && / at 0x[0-9a-f]{6,}/.test(entry.text)) continue;
    const difference = compare(entry, outcomeOf(entry, folder, templates));
    if (difference === undefined) equal++;
    else {
      wrong++;
      console.error(`${entry.template}, line ${entry.line}: ${difference}`);
    }
  }
  console.log(`${equal} equal, ${wrong} wrong`);
  return Promise.resolve(wrong === 0);
}

function outcomeOf(
  { template, variables, date }: JinjaCase,
  folder: string,
  templates: Map<string, Template | string>,
): Outcome {
  const compiled = templates.get(template) ?? compile(folder, template);
  templates.set(template, compiled);
  if (typeof compiled === 'string') return { refusal: compiled };
  try {
    return { text: compiled.render(variables, { date }).text };
  } catch (error) {
    if (error instanceof TemplateError) return { refusal: error.message };
    throw error;
  }
}

/** The template, or why it was refused. */
function compile(folder: string, template: string): Template | string {
  const file = `${basename(template, '.jinja')}.jinja`;
  try {
    return compileTemplate(readFileSync(join(folder, file), 'utf8'));
  } catch (error) {
    if (error instanceof TemplateSyntaxError) return error.message;
    throw error;
  }
}

/** The first difference; undefined where both are the same. */
function compare({ text }: JinjaCase, outcome: Outcome): string | undefined {
  if ('refusal' in outcome) return text === undefined ? undefined : `refused: ${outcome.refusal}`;
  if (text === undefined) return `rendered, where jinja2 refuses: ${excerpt(outcome.text, 0)}`;
  if (text === outcome.text) return undefined;
  let at = 0;
  while (text[at] === outcome.text[at]) at++;
  return `at character ${at}: ${excerpt(outcome.text, at)} instead of ${excerpt(text, at)}`;
}

function excerpt(text: string, at: number): string {
  return JSON.stringify(text.slice(Math.max(0, at - 20), at + 40));
}
