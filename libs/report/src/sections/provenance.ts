import { table } from '../charts/figure.js';
import { field, listAt, numberAt, textAt } from '../fields.js';
import { html, type Html } from '../html.js';
import { countText } from '../numbers.js';
import type { ReportData } from '../report-data.js';

/** From what, with what and how the adapter was made. */
export function provenance({ record, run }: ReportData): Html {
  const rows: [string, string][] = [
    ['base model', textAt(record, 'baseModel', 'name') ?? ''],
    ['its revision', textAt(record, 'baseModel', 'revision') ?? ''],
    ['its SHA-256', textAt(record, 'baseModel', 'sha256') ?? ''],
    ['data, SHA-256', textAt(record, 'data', 'sha256') ?? ''],
    ['rows trained on', counted(record, 'data', 'trainRows')],
    ['tokens trained on', counted(record, 'data', 'train', 'trainedTokens')],
    [
      'LoRA rank, alpha',
      [numberAt(record, 'lora', 'rank'), numberAt(record, 'lora', 'alpha')].map(String).join(', '),
    ],
    ['ratios', listAt(record, 'ratios').map(String).join(', ')],
    ...scalars(field(record, 'training')).map(([name, text]): [string, string] => [
      name === 'kind' ? 'schedule' : name,
      text,
    ]),
    ['job', textAt(record, 'job') ?? ''],
    ['program', textAt(record, 'program') ?? ''],
    ['device', textAt(record, 'device') ?? ''],
    ...Object.entries(run.versions),
  ];
  return html`<h2>How it was made</h2>
    ${run.command === null ? null : html`<pre tabindex="0" role="region" aria-label="Command">${commandText(run.command)}</pre>`}
    ${table('How it was made', { head: ['what', 'value'], rows: rows.filter(([, text]) => text !== '') })}`;
}

function counted(record: unknown, ...path: readonly string[]): string {
  const count = numberAt(record, ...path);
  return count === null ? '' : countText(count);
}

/** Numbers and texts of a record, under its own names in words. */
function scalars(values: unknown): [string, string][] {
  return Object.entries(Object(values) as object).flatMap(([key, value]) =>
    typeof value === 'number' || typeof value === 'string'
      ? [[key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), String(value)]]
      : [],
  );
}

/** A command as a POSIX shell takes it. */
function commandText(parts: readonly string[]): string {
  return parts
    .map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`))
    .join(' ');
}
