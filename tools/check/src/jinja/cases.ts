import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, PyDict, type CalendarDate, type PyValue } from '@emloc/dataset/jinja';

/** A conversation, and what jinja2 made of it. */
export interface JinjaCase {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly template: string;
  readonly variables: Readonly<Record<string, PyValue>>;
  readonly date: CalendarDate;
  /** What was rendered; undefined where jinja2 refuses. */
  readonly text: string | undefined;
}

const defaultDate: CalendarDate = { year: 2024, month: 1, day: 1 };

/** The lines of DIR/cases.jsonl. @throws Error that names the line */
export function* readCases(folder: string): Generator<JinjaCase> {
  const lines = readFileSync(join(folder, 'cases.jsonl'), 'utf8').split('\n');
  for (const [index, text] of lines.entries())
    if (text.trim() !== '') yield toCase(parseJson(text), index + 1);
}

function toCase(row: PyValue, line: number): JinjaCase {
  const fail = (reason: string): never => {
    throw new Error(`cases.jsonl, line ${line}: ${reason}`);
  };
  if (!(row instanceof PyDict)) return fail('not an object');
  const template = row.get('template');
  const text = row.get('text');
  if (typeof template !== 'string') return fail('template is not a text');
  if (text !== undefined && typeof text !== 'string') return fail('text is not a text');
  if (text === undefined && !row.has('error')) return fail('neither text nor error');
  return { line, template, variables: toVariables(row), date: toDate(row.get('date')), text };
}

function toVariables(row: PyDict): Record<string, PyValue> {
  const variables: Record<string, PyValue> = {
    messages: row.get('messages') ?? null,
    tools: row.get('tools') ?? null,
    documents: row.get('documents') ?? null,
    add_generation_prompt: row.get('add_generation_prompt') ?? false,
  };
  const more = row.get('variables');
  if (more instanceof PyDict)
    for (const [name, value] of more.entries()) variables[String(name)] = value;
  return variables;
}

function toDate(date: PyValue | undefined): CalendarDate {
  const [, year, month, day] = /^(\d+)-(\d+)-(\d+)/.exec(String(date)) ?? [];
  if (day === undefined) return defaultDate;
  return { year: Number(year), month: Number(month), day: Number(day) };
}
