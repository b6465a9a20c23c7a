import { invalidRequest, type RpcError } from '@emloc/rpc';

import { jobStates, type JobState } from '../jobs/record.js';

/** What a filter looks at. */
export interface Filterable {
  readonly state: JobState;
  readonly displayName: string;
  readonly createTime: string;
}

type Operator = '<=' | '>=' | '!=' | '=' | '<' | '>';

type Predicate = (job: Filterable) => boolean;

type Token =
  | { readonly kind: 'word' | 'text'; readonly text: string }
  | { readonly kind: 'operator'; readonly text: Operator };

const maxLength = 2000;

/**
 * Comparisons joined by AND, as `ListJobsRequest.filter` says. An empty filter matches all.
 * @throws RpcError INVALID_ARGUMENT
 */
export function parseFilter(filter: string): Predicate {
  if (filter.length > maxLength)
    throw invalid(`has ${filter.length} characters, at most ${maxLength} are allowed`);
  const tokens = tokenize(filter);
  if (tokens.length === 0) return () => true;
  const predicates: Predicate[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    predicates.push(comparison(tokens.slice(at, at + 3)));
    const and = tokens[at + 3];
    if (and && !(and.kind === 'word' && and.text === 'AND' && at + 4 < tokens.length))
      throw invalid(
        `AND and a comparison are expected after the comparison, not ${JSON.stringify(and.text)}`,
      );
  }
  return (job) => predicates.every((matches) => matches(job));
}

function tokenize(filter: string): readonly Token[] {
  const pattern = /\s+|([A-Za-z_][\w.]*)|"((?:[^"\\]|\\.)*)"|(<=|>=|!=|=|<|>)/gy;
  const tokens: Token[] = [];
  while (pattern.lastIndex < filter.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(filter);
    if (!match)
      throw invalid(`cannot be read from ${JSON.stringify(filter.slice(at, at + 20))} on`);
    const [, word, text, operator] = match;
    if (word !== undefined) tokens.push({ kind: 'word', text: word });
    if (text !== undefined) tokens.push({ kind: 'text', text: text.replace(/\\(.)/g, '$1') });
    if (operator !== undefined) tokens.push({ kind: 'operator', text: operator as Operator });
  }
  return tokens;
}

function comparison([field, operator, value]: readonly Token[]): Predicate {
  if (
    field?.kind !== 'word' ||
    operator?.kind !== 'operator' ||
    !value ||
    value.kind === 'operator'
  )
    throw invalid('a comparison has a field, an operator and a value');
  switch (field.text) {
    case 'state':
      return equality(operator.text, field.text, stateOf(value.text), ({ state }) => state);
    case 'display_name':
      return equality(operator.text, field.text, value.text, ({ displayName }) => displayName);
    case 'create_time':
      return order(operator.text, timeOf(value));
    default:
      throw invalid(
        `there is no field ${JSON.stringify(field.text)}: state, display_name and create_time can be compared`,
      );
  }
}

function equality(
  operator: Operator,
  field: string,
  value: string,
  read: (job: Filterable) => string,
): Predicate {
  if (operator === '=') return (job) => read(job) === value;
  if (operator === '!=') return (job) => read(job) !== value;
  throw invalid(`${field} can be compared with = and !=, not with ${operator}`);
}

function order(operator: Operator, timeMs: number): Predicate {
  const compare: Readonly<Partial<Record<Operator, (a: number) => boolean>>> = {
    '<': (a) => a < timeMs,
    '<=': (a) => a <= timeMs,
    '>': (a) => a > timeMs,
    '>=': (a) => a >= timeMs,
  };
  const matches = compare[operator];
  if (!matches)
    throw invalid(`create_time can be compared with <, <=, > and >=, not with ${operator}`);
  return ({ createTime }) => matches(Date.parse(createTime));
}

function stateOf(text: string): string {
  const name = text.replace(/^STATE_/, '');
  if (!(jobStates as readonly string[]).includes(name))
    throw invalid(`there is no state ${JSON.stringify(text)}: ${jobStates.join(', ')}`);
  return name;
}

function timeOf({ kind, text }: Token): number {
  const isRfc3339 =
    kind === 'text' &&
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text);
  const timeMs = isRfc3339 ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw invalid(
      `create_time is compared with an RFC 3339 time in quotes, not with ${JSON.stringify(text)}`,
    );
  return timeMs;
}

function invalid(description: string): RpcError {
  return invalidRequest([{ field: 'filter', description }]);
}
