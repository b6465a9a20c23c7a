import {
  type CallNode,
  type Expression,
  type MacroSignature,
  type NameNode,
  type OutputPart,
  type Statement,
  type Target,
} from './nodes.js';
import { ExpressionParser } from './parse-expression.js';
import { isSpace } from './python-text.js';
import { TokenStream } from './token-stream.js';

/** Deeper blocks are refused; Python's compiler stops there, too. */
const MAX_BLOCKS = 97;

const constants = new Set(['true', 'false', 'none', 'True', 'False', 'None']);

/** The statements of a template. @throws TemplateSyntaxError */
export function parseTemplate(source: string): Statement[] {
  return new TemplateParser(new TokenStream(source)).parse();
}

class TemplateParser extends ExpressionParser {
  readonly #open: { tag: string; ends: readonly string[] }[] = [];

  parse(): Statement[] {
    return this.#statements(undefined);
  }

  /** Up to one of the end tags, whose name is then current. */
  #statements(ends: readonly string[] | undefined): Statement[] {
    const body: Statement[] = [];
    let parts: OutputPart[] = [];
    const flush = (line: number): void => {
      if (parts.length > 0) body.push({ kind: 'output', parts, line });
      parts = [];
    };
    while (!this.stream.is('eof')) {
      const { type, text, line } = this.stream.next();
      if (type === 'data') parts.push({ kind: 'data', text });
      else if (type === 'variable_begin') {
        parts.push(this.parseTuple({}));
        this.stream.expect('variable_end');
      } else {
        flush(line);
        if (ends !== undefined && this.stream.isName(...ends)) return body;
        body.push(this.#statement());
        this.stream.expect('block_end');
      }
    }
    flush(this.stream.current.line);
    if (ends !== undefined) this.#failAtEnd();
    return body;
  }

  #failAtEnd(): never {
    const open = this.#open.at(-1);
    const wanted = open?.ends.map((end) => `'${end}'`).join(' or ');
    return this.stream.fail(
      `Unexpected end of template. Jinja was looking for the following tags: ${wanted}. ` +
        `The innermost block that needs to be closed is '${open?.tag}'.`,
    );
  }

  /** The body of a tag. The end tag that closed it is the next token. */
  #body(tag: string, ends: readonly string[]): Statement[] {
    this.stream.skipIfOperator(':');
    this.stream.expect('block_end');
    if (this.#open.length >= MAX_BLOCKS)
      this.stream.fail(`blocks are more than ${MAX_BLOCKS} deep`);
    this.#open.push({ tag, ends });
    const body = this.#statements(ends);
    this.#open.pop();
    return body;
  }

  #bodyUpTo(tag: string, end: string): Statement[] {
    const body = this.#body(tag, [end]);
    this.stream.next();
    return body;
  }

  #statement(): Statement {
    const { type, text, line } = this.stream.current;
    if (type !== 'name') this.stream.fail('tag name expected');
    const parse = this.#tags[text];
    if (parse === undefined || !Object.hasOwn(this.#tags, text)) this.#failUnknown(text);
    this.stream.next();
    return parse(line);
  }

  #failUnknown(name: string): never {
    const open = this.#open.at(-1);
    const wanted = open?.ends.map((end) => `'${end}'`).join(' or ');
    const hint = open === undefined ? '' : ` Jinja was looking for the following tags: ${wanted}.`;
    return this.stream.fail(`Encountered unknown tag '${name}'.${hint}`);
  }

  readonly #tags: Readonly<Record<string, (line: number) => Statement>> = {
    for: (line) => this.#for(line),
    if: (line) => this.#if(line),
    set: (line) => this.#set(line),
    with: (line) => this.#with(line),
    macro: (line) => this.#macro(line),
    call: (line) => this.#callBlock(line),
    filter: (line) => this.#filterBlock(line),
    block: (line) => this.#block(line),
    print: (line) => this.#print(line),
    autoescape: (line) => ({
      kind: 'autoescape',
      value: this.parseExpression(),
      body: this.#bodyUpTo('autoescape', 'endautoescape'),
      line,
    }),
    generation: (line) => {
      const body = this.#bodyUpTo('generation', 'endgeneration');
      return { kind: 'generation', params: [], defaults: [], body, line };
    },
    break: (line) => ({ kind: 'break', line }),
    continue: (line) => ({ kind: 'continue', line }),
    extends: (line) => this.#load('extends', line, () => []),
    include: (line) => this.#load('include', line, () => this.#includeOptions()),
    import: (line) => this.#load('import', line, () => this.#importName()),
    from: (line) => this.#load('from', line, () => this.#importNames()),
  };

  #for(line: number): Statement {
    const target = this.#target({ endName: 'in' });
    this.stream.expect('name', 'in');
    const iterable = this.parseTuple({ withCondition: false, endName: 'recursive' });
    const test = this.stream.skipIfName('if') ? this.parseExpression() : undefined;
    const isRecursive = this.stream.skipIfName('recursive');
    const body = this.#body('for', ['endfor', 'else']);
    const hasElse = this.stream.next().text === 'else';
    const otherwise = hasElse ? this.#bodyUpTo('for', 'endfor') : [];
    return { kind: 'for', target, iterable, test, isRecursive, body, otherwise, line };
  }

  #branch(line: number): { test: Expression; body: Statement[]; line: number } {
    const test = this.parseTuple({ withCondition: false });
    return { test, body: this.#body('if', ['elif', 'else', 'endif']), line };
  }

  #if(line: number): Statement {
    const first = this.#branch(line);
    const elifs: Extract<Statement, { kind: 'if' }>[] = [];
    let end = this.stream.next();
    while (end.text === 'elif') {
      elifs.push({ kind: 'if', ...this.#branch(end.line), elifs: [], otherwise: [] });
      end = this.stream.next();
    }
    const otherwise = end.text === 'else' ? this.#bodyUpTo('if', 'endif') : [];
    return { kind: 'if', ...first, elifs, otherwise };
  }

  #set(line: number): Statement {
    const target = this.#target({ withNamespace: true });
    if (this.stream.skipIfOperator('='))
      return { kind: 'assign', target, value: this.parseTuple({}), line };
    const filter = this.parseBlockFilters(false);
    return { kind: 'assignblock', target, filter, body: this.#bodyUpTo('set', 'endset'), line };
  }

  #with(line: number): Statement {
    const targets: Target[] = [];
    const values: Expression[] = [];
    while (!this.stream.is('block_end')) {
      if (targets.length > 0) this.stream.expect('operator', ',');
      targets.push(this.#target({ context: 'param' }));
      this.stream.expect('operator', '=');
      values.push(this.parseExpression());
    }
    return { kind: 'with', targets, values, body: this.#bodyUpTo('with', 'endwith'), line };
  }

  #macro(line: number): Statement {
    const { name } = this.#nameTarget('store');
    const signature = this.#signature();
    return { kind: 'macro', name, ...signature, body: this.#bodyUpTo('macro', 'endmacro'), line };
  }

  #callBlock(line: number): Statement {
    const signature = this.stream.isOperator('(')
      ? this.#signature()
      : { params: [], defaults: [] };
    const call = this.parseExpression();
    if (!isCall(call)) this.stream.fail('expected call', line);
    return { kind: 'callblock', ...signature, call, body: this.#bodyUpTo('call', 'endcall'), line };
  }

  #signature(): MacroSignature {
    const params: NameNode[] = [];
    const defaults: Expression[] = [];
    this.stream.expect('operator', '(');
    while (!this.stream.isOperator(')')) {
      if (params.length > 0) this.stream.expect('operator', ',');
      const param = this.#nameTarget('param');
      if (this.stream.skipIfOperator('=')) defaults.push(this.parseExpression());
      else if (defaults.length > 0)
        this.stream.fail('non-default argument follows default argument');
      if (params.some(({ name }) => name === param.name))
        this.stream.fail(`duplicate argument '${param.name}' in function definition`);
      params.push(param);
    }
    this.stream.expect('operator', ')');
    return { params, defaults };
  }

  #filterBlock(line: number): Statement {
    const filter = this.parseBlockFilters(true);
    if (filter === undefined) this.stream.fail('expected filter');
    return { kind: 'filterblock', filter, body: this.#bodyUpTo('filter', 'endfilter'), line };
  }

  #block(line: number): Statement {
    const name = this.stream.expect('name').text;
    const isScoped = this.stream.skipIfName('scoped');
    const isRequired = this.stream.skipIfName('required');
    if (this.stream.isOperator('-'))
      this.stream.fail('Block names in Jinja have to be valid Python identifiers');
    const body = this.#bodyUpTo('block', 'endblock');
    if (isRequired && !body.every(isBlank))
      this.stream.fail('Required blocks can only contain comments or whitespace');
    this.stream.skipIfName(name);
    return { kind: 'block', name, isScoped, isRequired, body, line };
  }

  #print(line: number): Statement {
    const parts: OutputPart[] = [];
    while (!this.stream.is('block_end')) {
      if (parts.length > 0) this.stream.expect('operator', ',');
      parts.push(this.parseExpression());
    }
    return { kind: 'output', parts, line };
  }

  #load(tag: string, line: number, readNames: () => string[]): Statement {
    if (tag === 'extends' && this.#open.some((open) => open.tag !== 'if'))
      this.stream.fail('cannot use extend from a non top-level scope', line);
    const template = this.parseExpression();
    return { kind: 'load', tag, template, names: readNames(), line };
  }

  #includeOptions(): string[] {
    if (this.stream.isName('ignore') && this.stream.look().text === 'missing') this.stream.skip(2);
    this.#skipContext();
    return [];
  }

  #skipContext(): boolean {
    const isContext =
      this.stream.isName('with', 'without') && this.stream.look().text === 'context';
    if (isContext) this.stream.skip(2);
    return isContext;
  }

  #importName(): string[] {
    this.stream.expect('name', 'as');
    const { name } = this.#nameTarget('store');
    this.#skipContext();
    return [name];
  }

  #importNames(): string[] {
    this.stream.expect('name', 'import');
    const names: string[] = [];
    do {
      if (this.#skipContext()) break;
      const { name } = this.#nameTarget('store');
      if (name.startsWith('_'))
        this.stream.fail('names starting with an underline can not be imported');
      names.push(this.stream.skipIfName('as') ? this.#nameTarget('store').name : name);
    } while (!this.#skipContext() && this.stream.skipIfOperator(','));
    return names;
  }

  #nameTarget(context: NameNode['context']): NameNode {
    const { text, line } = this.stream.expect('name');
    if (constants.has(text)) this.stream.fail("can't assign to 'const'", line);
    return { kind: 'name', name: text, context, line };
  }

  #target(options: {
    endName?: string;
    withNamespace?: boolean;
    context?: NameNode['context'];
  }): Target {
    const { line } = this.stream.current;
    const node = this.parseTuple({
      ...(options.endName === undefined ? {} : { endName: options.endName }),
      parse: () => this.#targetPart(options.withNamespace ?? false),
    });
    if (!isTarget(node)) this.stream.fail(`can't assign to '${node.kind}'`, line);
    setContext(node, options.context ?? 'store');
    return node;
  }

  #targetPart(withNamespace: boolean): Expression {
    const next = this.stream.look();
    const isName = this.stream.is('name') && !constants.has(this.stream.current.text);
    const isAttribute = next.type === 'operator' && next.text === '.';
    if (!withNamespace || !isName || !isAttribute) return this.parsePrimary();
    const { text: name, line } = this.stream.next();
    this.stream.skip(1);
    return { kind: 'nsref', name, attribute: this.stream.expect('name').text, line };
  }
}

function isCall(node: Expression): node is CallNode {
  return node.kind === 'call';
}

function isTarget(node: Expression): node is Target {
  if (node.kind === 'tuple') return node.items.every(isTarget);
  return node.kind === 'nsref' || node.kind === 'name';
}

function setContext(target: Target, context: NameNode['context']): void {
  if (target.kind === 'name') target.context = context;
  if (target.kind === 'tuple')
    for (const item of target.items) if (isTarget(item)) setContext(item, context);
}

function isBlank(statement: Statement): boolean {
  if (statement.kind !== 'output') return false;
  return statement.parts.every((part) => part.kind === 'data' && isSpace(part.text));
}
