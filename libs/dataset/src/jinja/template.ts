import { isNativeError } from 'node:util/types';

import { findUndeclared, walk } from './children.js';
import { Place, type TemplateParts } from './compile-context.js';
import { invoke, outputText } from './compile-macro.js';
import { compileBody } from './compile-statement.js';
import { TemplateError, TemplateSyntaxError } from './errors.js';
import { globals } from './globals.js';
import { defaultLimits, type Limits } from './limits.js';
import { type BlockNode, type Statement } from './nodes.js';
import { parseTemplate } from './parse-template.js';
import { Context, Frame, RenderState } from './render-state.js';
import { Undefined, type Mark } from './scalars.js';
import { FunctionScope, Symbols } from './symbols.js';
import { PyCallable, PyObject, type CalendarDate, type PyValue, type Runtime } from './values.js';

interface RenderOptions {
  /** The day of `strftime_now`, at midnight. */
  readonly date: CalendarDate;
  readonly limits?: Partial<Limits>;
  /** Items whose place in the text is asked for. */
  readonly trackItems?: ReadonlySet<PyValue>;
}

export interface Rendering {
  readonly text: string;
  /** UTF-16 ranges of `text` inside generation marks: ascending, none inside another. */
  readonly generations: readonly Mark[];
  /**
   * Where in `text` the pass of a loop for a tracked item began: of the last loop at the top that
   * wrote something, or else of the last one.
   */
  readonly itemOffsets: ReadonlyMap<PyValue, number>;
}

/** A compiled template. Renderings do not change it. */
export interface Template {
  readonly hasGenerationMarks: boolean;
  /** @throws TemplateError */
  render(variables: Readonly<Record<string, PyValue>>, options: RenderOptions): Rendering;
}

/**
 * Compiles a template as jinja2 does with the environment of chat templates: immutable sandbox,
 * trimmed and stripped blocks, loop controls and generation marks.
 * @throws TemplateSyntaxError
 */
export function compileTemplate(source: string): Template {
  try {
    return new CompiledTemplate(parseTemplate(source));
  } catch (error) {
    // A stack that is too small for a template within the limits.
    if (isExhausted(error)) throw new TemplateSyntaxError('nested too deep', 1);
    throw error;
  }
}

class CompiledTemplate implements Template {
  readonly hasGenerationMarks: boolean;
  readonly #scope = new FunctionScope(null);
  readonly #run: (frame: Frame) => void;

  constructor(statements: readonly Statement[]) {
    const blocks = blocksOf(statements);
    const parts: TemplateParts = {
      escaping: { isOn: false, isVolatile: false },
      blocks: new Map(),
      hasBlocks: blocks.length > 0,
      compileBody,
    };
    this.hasGenerationMarks = hasMarks(statements);
    this.#run = compileFunction(statements, parts, this.#scope, true);
    for (const block of blocks) {
      const scope = new FunctionScope(null);
      const write = compileFunction(block.body, parts, scope, false, block.name);
      const run = ({ runtime, context }: Frame): void => {
        const frame = new Frame(runtime, context, scope.size, null);
        runtime.frames.push(frame);
        invoke(runtime, () => write(frame));
        runtime.frames.pop();
      };
      parts.blocks.set(block.name, { run, isRequired: block.isRequired });
    }
  }

  render(variables: Readonly<Record<string, PyValue>>, options: RenderOptions): Rendering {
    const limits = { ...defaultLimits, ...options.limits };
    const runtime = new RenderState(limits, options.date, options.trackItems ?? new Set());
    const context = new Context((name) =>
      Object.hasOwn(variables, name) ? variables[name] : globals.get(name),
    );
    try {
      const frame = new Frame(runtime, context, this.#scope.size, null);
      runtime.frames.push(frame);
      this.#run(frame);
      return toRendering(runtime);
    } catch (error) {
      throw toTemplateError(error, runtime.line);
    }
  }
}

function toRendering({ root, items }: RenderState): Rendering {
  return {
    text: root.text,
    generations: outermost(root.marks ?? []),
    itemOffsets: items.offsets,
  };
}

function outermost(marks: readonly Mark[]): Mark[] {
  const sorted = [...marks].sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Mark[] = [];
  for (const mark of sorted) if (mark.end > (kept.at(-1)?.end ?? -1)) kept.push(mark);
  return kept;
}

function toTemplateError(error: unknown, line: number): unknown {
  const found = isExhausted(error)
    ? new TemplateError('limit', 'the template nests calls or values too deep', 'RecursionError')
    : error;
  if (found instanceof TemplateError) found.line ??= line;
  return found;
}

/**
 * The stack, or the greatest length of a text or list. By name: a function of another realm (the
 * clock's, in tests) throws another RangeError.
 */
function isExhausted(error: unknown): boolean {
  return isNativeError(error) && error.name === 'RangeError';
}

function blocksOf(statements: readonly Statement[]): BlockNode[] {
  const blocks: BlockNode[] = [];
  walk(statements, (node) => {
    if (node.kind === 'block') blocks.push(node);
    return true;
  });
  const names = blocks.map(({ name }) => name);
  for (const { name, line } of blocks)
    if (names.indexOf(name) !== names.lastIndexOf(name))
      throw new TemplateSyntaxError(`block '${name}' defined twice`, line);
  return blocks;
}

function hasMarks(statements: readonly Statement[]): boolean {
  let found = false;
  walk(statements, (node) => {
    found ||= node.kind === 'generation';
    return !found;
  });
  return found;
}

/** A template or a block: a function that shares no variables with others. */
function compileFunction(
  body: readonly Statement[],
  parts: TemplateParts,
  scope: FunctionScope,
  isTop: boolean,
  blockName?: string,
): (frame: Frame) => void {
  const symbols = new Symbols(scope, null);
  const place = new Place(parts, symbols, { isTop });
  const special = findUndeclared(body, isTop ? ['self'] : ['self', 'super']);
  const indices = [...special].map((name) => ({ name, index: symbols.declare(name).index }));
  symbols.visitAll(body);
  const run = compileBody(body, place);
  const enter = place.enter();
  return (frame) => {
    enter(frame);
    for (const { name, index } of indices)
      frame.slots[index] =
        name === 'self'
          ? new TemplateReference(parts, frame)
          : new Undefined(`there is no parent block called '${blockName}'.`);
    run(frame);
  };
}

/** `self`: the blocks of a template by name. */
class TemplateReference extends PyObject {
  readonly typeName = 'TemplateReference';

  override repr(): string {
    return '<TemplateReference None>';
  }

  readonly #parts: TemplateParts;
  readonly #frame: Frame;

  constructor(parts: TemplateParts, frame: Frame) {
    super();
    this.#parts = parts;
    this.#frame = frame;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    const block = this.#parts.blocks.get(name.replace(/^\[(.*)\]$/s, '$1'));
    if (block === undefined || !name.startsWith('[')) return undefined;
    return new BlockReference(() => {
      const { runtime } = this.#frame;
      const { output } = runtime.capture(() => block.run(this.#frame.withContext(undefined)));
      return outputText(output, runtime.isAutoescaping);
    });
  }
}

class BlockReference extends PyCallable {
  readonly typeName = 'BlockReference';
  readonly #write: () => PyValue;

  constructor(write: () => PyValue) {
    super();
    this.#write = write;
  }

  call(): PyValue {
    return this.#write();
  }
}
