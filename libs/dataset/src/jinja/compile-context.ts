import { TemplateSyntaxError } from './errors.js';
import { type Statement } from './nodes.js';
import { MISSING, type Frame, type Slot } from './render-state.js';
import { Undefined } from './scalars.js';
import { FunctionScope, Symbols, type Ref } from './symbols.js';
import { type PyValue } from './values.js';

export type Evaluate = (frame: Frame) => PyValue;

/** How a statement ended. */
export const NORMAL = 0;
export const BREAK = 1;
export const CONTINUE = 2;
export type Signal = typeof NORMAL | typeof BREAK | typeof CONTINUE;
export type Execute = (frame: Frame) => Signal;

/** What is known of escaping when a template is compiled. */
interface Escaping {
  isOn: boolean;
  /** Only known when it is rendered. */
  isVolatile: boolean;
}

interface BlockFunction {
  readonly run: (frame: Frame) => void;
  readonly isRequired: boolean;
}

/** What all parts of a template share. */
export interface TemplateParts {
  readonly escaping: Escaping;
  readonly blocks: Map<string, BlockFunction>;
  readonly hasBlocks: boolean;
  readonly compileBody: (statements: readonly Statement[], place: Place) => Execute;
}

/** The place in the template that is compiled. */
export class Place {
  readonly parts: TemplateParts;
  readonly symbols: Symbols;
  readonly isTop: boolean;
  /** Directly in a condition, where unknown filters are only refused when they are called. */
  readonly isSoft: boolean;
  /** Whether `break` and `continue` have a loop. */
  readonly isInLoop: boolean;

  constructor(
    parts: TemplateParts,
    symbols: Symbols,
    flags: { isTop?: boolean; isSoft?: boolean; isInLoop?: boolean } = {},
  ) {
    this.parts = parts;
    this.symbols = symbols;
    this.isTop = flags.isTop ?? false;
    this.isSoft = flags.isSoft ?? false;
    this.isInLoop = flags.isInLoop ?? false;
  }

  body(statements: readonly Statement[]): Execute {
    return this.parts.compileBody(statements, this);
  }

  /** A block with its own variables in the same function. */
  inner(isInLoop = this.isInLoop): Place {
    return new Place(this.parts, new Symbols(this.symbols.scope, this.symbols), { isInLoop });
  }

  /** The body of a function that is defined here. */
  innerFunction(isInLoop = false): Place {
    const scope = new FunctionScope(this.symbols.scope);
    return new Place(this.parts, new Symbols(scope, this.symbols), { isInLoop });
  }

  /** A block with its own variables, whose statements run in another function. */
  innerOf(scope: FunctionScope): Place {
    return new Place(this.parts, new Symbols(scope, this.symbols));
  }

  soft(): Place {
    const { isTop, isInLoop } = this;
    return new Place(this.parts, this.symbols, { isTop, isInLoop, isSoft: true });
  }

  ref(name: string, line: number): Ref {
    return this.symbols.ref(name, line);
  }

  /** Functions between this place and the one that has the variable. */
  hopsTo(ref: Ref): number {
    let hops = 0;
    for (let at: FunctionScope | null = this.symbols.scope; at !== null; at = at.parent) {
      if (at === ref.scope) return hops;
      hops++;
    }
    throw new TemplateSyntaxError('a variable is used outside of its function', 1);
  }

  /** Gives the variables of this block their first values. */
  enter(): (frame: Frame) => void {
    const steps: ((frame: Frame) => void)[] = [];
    for (const [ref, load] of this.symbols.loads) {
      const { index } = ref;
      if (load.kind === 'resolve')
        steps.push((frame) => (frame.slots[index] = frame.context.resolve(load.name)));
      else if (load.kind === 'undefined') steps.push((frame) => (frame.slots[index] = MISSING));
      else if (load.kind === 'alias') steps.push(this.#alias(index, load.ref));
    }
    return inOrder(steps);
  }

  #alias(index: number, source: Ref): (frame: Frame) => void {
    const read = readSlot(this.hopsTo(source), source.index);
    return (frame) => {
      frame.slots[index] = read(frame);
    };
  }

  /** Takes the variables of this block away. */
  leave(): (frame: Frame) => void {
    const indices = [...this.symbols.loads.keys()].map(({ index }) => index);
    return (frame) => {
      for (const index of indices) frame.slots[index] = MISSING;
    };
  }

  read(name: string, line: number): Evaluate {
    const ref = this.ref(name, line);
    const read = readSlot(this.hopsTo(ref), ref.index);
    return (frame) => {
      const value = read(frame);
      return value === MISSING ? new Undefined(`'${name}' is undefined`) : value;
    };
  }
}

function inOrder(steps: readonly ((frame: Frame) => void)[]): (frame: Frame) => void {
  const [first, second] = steps;
  if (first === undefined) return () => undefined;
  if (second === undefined) return first;
  return (frame) => {
    for (const step of steps) step(frame);
  };
}

export function readSlot(hops: number, index: number): (frame: Frame) => Slot {
  if (hops === 0) return (frame) => slotAt(frame, index);
  if (hops === 1) return (frame) => (frame.parent === null ? MISSING : slotAt(frame.parent, index));
  return (frame) => {
    let at: Frame | null = frame;
    for (let i = 0; i < hops && at !== null; i++) at = at.parent;
    return at === null ? MISSING : slotAt(at, index);
  };
}

function slotAt(frame: Frame, index: number): Slot {
  const value = frame.slots[index];
  return value === undefined ? MISSING : value;
}
