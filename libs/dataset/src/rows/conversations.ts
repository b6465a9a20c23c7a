import { RowError } from '../errors.js';
import { PyDict, type PyValue } from '../jinja/index.js';
import { kindOf } from './kind-of.js';

/** Roles by what `from` says. */
const roles: ReadonlyMap<PyValue, string> = new Map([
  ['system', 'system'],
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
]);

/**
 * Turns of `conversations`, each with `from` and `value`, as messages with `role` and `content`;
 * what else a turn has stays.
 * @throws RowError
 */
export function messagesOfConversations(turns: readonly PyValue[]): PyDict[] {
  return turns.map((turn, index) => messageOf(turn, `conversations[${index}]`));
}

function messageOf(turn: PyValue, field: string): PyDict {
  if (!(turn instanceof PyDict)) throw new RowError(field, `must be an object, is ${kindOf(turn)}`);
  const [from, value] = [turn.get('from') ?? null, turn.get('value') ?? null];
  const role = roles.get(from);
  if (role === undefined)
    throw new RowError(`${field}.from`, `must be one of ${[...roles.keys()].join(', ')}`);
  if (typeof value !== 'string')
    throw new RowError(`${field}.value`, `must be text, is ${kindOf(value)}`);
  const rest = [...turn.entries()].filter(([name]) => name !== 'from' && name !== 'value');
  return PyDict.fromEntries([
    ...rest.filter(([name]) => name !== 'role' && name !== 'content'),
    ['role', role],
    ['content', value],
  ]);
}
