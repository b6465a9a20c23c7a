import { childrenOf, type Node } from './children.js';
import { TemplateSyntaxError } from './errors.js';
import { type ForNode, type IfNode, type Statement } from './nodes.js';

/** The variables of one function: a template, macro, block or recursive loop. */
export class FunctionScope {
  readonly parent: FunctionScope | null;
  readonly #refs = new Map<string, Ref>();

  constructor(parent: FunctionScope | null) {
    this.parent = parent;
  }

  get size(): number {
    return this.#refs.size;
  }

  /** A name of one level is one variable, wherever in the function it stands. */
  ref(level: number, name: string): Ref {
    const key = `${level} ${name}`;
    const known = this.#refs.get(key);
    if (known !== undefined) return known;
    const ref = { scope: this, index: this.#refs.size };
    this.#refs.set(key, ref);
    return ref;
  }
}

export interface Ref {
  readonly scope: FunctionScope;
  readonly index: number;
}

/** Where a variable has its first value from when its block is entered. */
type Load =
  | { readonly kind: 'param' }
  | { readonly kind: 'undefined' }
  | { readonly kind: 'resolve'; readonly name: string }
  | { readonly kind: 'alias'; readonly ref: Ref };

/** Which names a block reads and sets, after the rules of Jinja's compiler. */
export class Symbols {
  readonly scope: FunctionScope;
  readonly parent: Symbols | null;
  readonly level: number;
  refs = new Map<string, Ref>();
  loads = new Map<Ref, Load>();
  stores = new Set<string>();

  constructor(scope: FunctionScope, parent: Symbols | null) {
    this.scope = scope;
    this.parent = parent;
    this.level = parent === null ? 0 : parent.level + 1;
  }

  #define(name: string, load: Load): Ref {
    const ref = this.scope.ref(this.level, name);
    this.refs.set(name, ref);
    this.loads.set(ref, load);
    return ref;
  }

  find(name: string): Ref | undefined {
    return this.refs.get(name) ?? this.parent?.find(name);
  }

  /** @throws TemplateSyntaxError where Jinja's compiler fails, too */
  ref(name: string, line: number): Ref {
    const ref = this.find(name);
    if (ref === undefined)
      throw new TemplateSyntaxError(`the name '${name}' cannot be used here`, line);
    return ref;
  }

  load(name: string): void {
    if (this.find(name) === undefined) this.#define(name, { kind: 'resolve', name });
  }

  store(name: string): void {
    this.stores.add(name);
    if (this.refs.has(name)) return;
    const outer = this.parent?.find(name);
    this.#define(name, outer === undefined ? { kind: 'undefined' } : { kind: 'alias', ref: outer });
  }

  declare(name: string): Ref {
    this.stores.add(name);
    return this.#define(name, { kind: 'param' });
  }

  #copy(): Symbols {
    const copy = new Symbols(this.scope, this.parent);
    copy.refs = new Map(this.refs);
    copy.loads = new Map(this.loads);
    copy.stores = new Set(this.stores);
    return copy;
  }

  /** What is set in one branch only has its outer value in the others. */
  #merge(branches: readonly Symbols[]): void {
    const stored = new Set(branches.flatMap(({ stores }) => [...stores]));
    for (const name of this.stores) stored.delete(name);
    for (const branch of branches) {
      for (const [name, ref] of branch.refs) this.refs.set(name, ref);
      for (const [ref, load] of branch.loads) this.loads.set(ref, load);
      for (const name of branch.stores) this.stores.add(name);
    }
    for (const name of stored) this.#loadOuter(name);
  }

  #loadOuter(name: string): void {
    const ref = this.find(name);
    if (ref === undefined) return;
    const outer = this.parent?.find(name);
    this.loads.set(
      ref,
      outer === undefined ? { kind: 'resolve', name } : { kind: 'alias', ref: outer },
    );
  }

  /** All names that are set here and further out. */
  visibleStores(): Map<string, Ref> {
    const found = this.parent?.visibleStores() ?? new Map<string, Ref>();
    for (const name of this.stores) {
      const ref = this.find(name);
      if (ref !== undefined) found.set(name, ref);
    }
    return found;
  }

  visitAll(nodes: readonly Node[]): void {
    for (const node of nodes) this.visit(node);
  }

  /** A loop's variables are its parameters. */
  visitTarget(node: Node): void {
    if (node.kind === 'name') this.declare(node.name);
    else if (node.kind === 'nsref') this.load(node.name);
    else for (const child of childrenOf(node)) this.visitTarget(child);
  }

  visitLoop(node: ForNode, branch: 'body' | 'else' | 'test'): void {
    if (branch !== 'else') this.visitTarget(node.target);
    if (branch === 'test') this.visitAll(node.test === undefined ? [] : [node.test]);
    else this.visitAll(branch === 'body' ? node.body : node.otherwise);
  }

  visit(node: Node): void {
    switch (node.kind) {
      case 'name':
        if (node.context === 'param') this.declare(node.name);
        else if (node.context === 'store') this.store(node.name);
        else this.load(node.name);
        return;
      case 'nsref':
        return this.load(node.name);
      case 'if':
        return this.#visitIf(node);
      case 'macro':
        return this.store(node.name);
      default:
        return this.#visitStatement(node);
    }
  }

  /** Of blocks with their own variables, only what is read outside of them. */
  #visitStatement(node: Exclude<Node, IfNode>): void {
    switch (node.kind) {
      case 'assign':
        this.visit(node.value);
        return this.visit(node.target);
      case 'for':
        return this.visit(node.iterable);
      case 'callblock':
        return this.visit(node.call);
      case 'filterblock':
        return this.visit(node.filter);
      case 'with':
        return this.visitAll(node.values);
      case 'assignblock':
        return this.visit(node.target);
      case 'autoescape':
      case 'block':
      case 'generation':
        return;
      case 'load':
        this.visit(node.template);
        for (const name of node.names) this.store(name);
        return;
      default:
        return this.visitAll(childrenOf(node));
    }
  }

  #visitIf(node: IfNode): void {
    this.visit(node.test);
    const branch = (statements: readonly Statement[]): Symbols => {
      const copy = this.#copy();
      copy.visitAll(statements);
      return copy;
    };
    this.#merge([branch(node.body), branch(node.elifs), branch(node.otherwise)]);
  }
}
