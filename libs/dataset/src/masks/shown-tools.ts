import { RowError } from '../errors.js';
import { PyDict, type PyValue } from '../jinja/index.js';

/** Names that stand in a rendering as they are, whatever a template does to texts. */
const plainName = /^[\w.-]+$/;

/**
 * Whether a chat template has written the tools of a row, by their names.
 * @throws RowError naming the first that it has not
 */
export function assertToolsShown(tools: readonly PyValue[] | null, text: string): void {
  for (const [index, tool] of (tools ?? []).entries()) {
    const name = nameOf(tool);
    if (name !== null && !text.includes(name))
      throw new RowError(`tools[${index}]`, 'cannot be used: the chat template does not show it');
  }
}

/** Whether a call of a tool is not in the rendering, by the name of the tool. */
export function isCallLost(turn: PyDict, text: string): boolean {
  const calls = turn.get('tool_calls');
  const all = [...(Array.isArray(calls) ? calls : []), turn.get('function_call') ?? null];
  return all.some((call) => {
    const name = nameOf(call);
    return name !== null && !text.includes(name);
  });
}

/** Of `{"function": {"name"}}` or `{"name"}`; null where it has none that can be looked for. */
function nameOf(value: PyValue): string | null {
  if (!(value instanceof PyDict)) return null;
  const inner = value.get('function');
  const name = (inner instanceof PyDict ? inner : value).get('name');
  return typeof name === 'string' && plainName.test(name) ? name : null;
}
