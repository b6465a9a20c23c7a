import { faultOf } from './json-fault.js';

/** No file of a model or an adapter is nested half as deep. */
const defaultDepth = 100;
/** Twice what the largest tokenizers have: each takes up to 100 bytes. */
const defaultValues = 5_000_000;

export interface JsonLimits {
  readonly maxDepth?: number;
  readonly maxValues?: number;
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/** A text is no JSON, or more of it than is read. The message has nothing of the text. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';

  constructor(
    /** What is wrong, with line and column. */
    readonly reason: string,
    /** Index in the text. */
    readonly position: number,
    /** What a value that is nested too deep has as key of the outermost object; else null. */
    readonly key: string | null = null,
  ) {
    super(reason);
  }
}

/**
 * Parses JSON that may be anyone's: not nested deep, so that nothing that walks through it runs out
 * of stack, and of a bearable number of values.
 * @throws JsonTextError
 */
export function parseJsonText(
  text: string,
  { maxDepth = defaultDepth, maxValues = defaultValues }: JsonLimits = {},
): unknown {
  assertBounded(text, { maxDepth, maxValues });
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const { position, reason } = faultOf(text) ?? { position: 0, reason: 'it cannot be parsed' };
    throw fault(text, position, reason);
  }
}

/** Looks at brackets and commas only; what they stand in is looked at by the parser. */
function assertBounded(text: string, { maxDepth, maxValues }: Required<JsonLimits>): void {
  let [depth, values, outermost] = [0, 0, 0];
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        if (depth === 1) outermost = at;
        at = stringEnd(text, at);
        break;
      case openBracket:
      case openBrace:
        depth += 1;
        values += 1;
        if (depth > maxDepth)
          throw fault(text, at, `it is nested more than ${maxDepth} deep`, outermost);
        break;
      case closeBracket:
      case closeBrace:
        depth -= 1;
        break;
      case comma:
        values += 1;
    }
    if (values > maxValues) throw fault(text, at, `it has more than ${maxValues} values`);
  }
}

/** Index of the quote that ends a string, or the end of the text. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    at = end;
  }
  return text.length;
}

function fault(text: string, position: number, reason: string, keyAt = 0): JsonTextError {
  let [line, lineStart] = [1, 0];
  for (let end = text.indexOf('\n'); end >= 0 && end < position; end = text.indexOf('\n', end + 1))
    [line, lineStart] = [line + 1, end + 1];
  const column = position - lineStart + 1;
  return new JsonTextError(
    `${reason} (line ${line}, column ${column})`,
    position,
    keyOf(text, keyAt),
  );
}

/** The text that begins at an index; null where none does. */
function keyOf(text: string, start: number): string | null {
  if (text.charCodeAt(start) !== quote) return null;
  try {
    return JSON.parse(text.slice(start, stringEnd(text, start) + 1)) as string;
  } catch {
    return null;
  }
}
