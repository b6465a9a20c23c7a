import { typeError } from './errors.js';
import { MISSING, type Frame, type Slot } from './render-state.js';
import { RichText, Undefined } from './scalars.js';
import { type Text } from './text-values.js';
import { PyCallable, PyDict, PyTuple, type Kwargs, type PyValue, type Runtime } from './values.js';

/** What is known of a macro when the template is compiled. */
export interface MacroShape {
  /** undefined for the body of a call block. */
  readonly name: string | undefined;
  readonly params: readonly string[];
  readonly takesCaller: boolean;
  readonly takesKwargs: boolean;
  readonly takesVarargs: boolean;
  /** Writes the body with these arguments, in the order of the signature. */
  readonly invoke: (defining: Frame, values: Slot[]) => Text;
}

export class Macro extends PyCallable {
  readonly typeName = 'Macro';
  readonly #shape: MacroShape;
  readonly #defining: Frame;

  constructor(shape: MacroShape, defining: Frame) {
    super();
    this.#shape = shape;
    this.#defining = defining;
  }

  get name(): PyValue {
    return this.#shape.name ?? null;
  }

  override attribute(_runtime: Runtime, name: string): PyValue | undefined {
    const { params, takesCaller, takesKwargs, takesVarargs } = this.#shape;
    switch (name) {
      case 'name':
        return this.name;
      case 'arguments':
        return new PyTuple([...params]);
      case 'catch_kwargs':
        return takesKwargs;
      case 'catch_varargs':
        return takesVarargs;
      case 'caller':
        return takesCaller;
      case 'explicit_caller':
        return params.includes('caller');
      default:
        return undefined;
    }
  }

  override repr(): string {
    return `<Macro ${this.#shape.name === undefined ? 'anonymous' : `'${this.#shape.name}'`}>`;
  }

  override references(): Iterable<PyValue> {
    return this.#defining.slots.filter((slot) => slot !== MISSING);
  }

  call(runtime: Runtime, args: PyValue[], kwargs: Kwargs): PyValue {
    const text = this.#shape.invoke(this.#defining, this.#bind(args, kwargs));
    if (!runtime.isAutoescaping) return text;
    return typeof text === 'string'
      ? new RichText(text, true)
      : new RichText(text.text, true, text.marks);
  }

  #bind(args: PyValue[], kwargs: Kwargs): Slot[] {
    const { params, takesCaller, takesKwargs, takesVarargs } = this.#shape;
    const named = new Map(kwargs ?? []);
    const values: Slot[] = args.slice(0, params.length);
    for (const name of params.slice(values.length)) values.push(take(named, name));
    if (takesCaller && !this.#hasOwnCaller(args.length)) values.push(this.#caller(named));
    if (takesKwargs) values.push(toDict(named));
    else if (named.size > 0) this.#refuseKeyword(named);
    if (takesVarargs) values.push(new PyTuple(args.slice(params.length)));
    else if (args.length > params.length)
      throw typeError(
        `macro ${this.#quotedName()} takes not more than ${params.length} argument(s)`,
      );
    return values;
  }

  #hasOwnCaller(given: number): boolean {
    const { params } = this.#shape;
    return given >= params.length ? params.includes('caller') : params.includes('caller', given);
  }

  #caller(named: Map<string, PyValue>): PyValue {
    const caller = take(named, 'caller');
    return caller === MISSING || caller === null ? new Undefined('No caller defined') : caller;
  }

  #refuseKeyword(named: ReadonlyMap<string, PyValue>): never {
    if (named.has('caller'))
      throw typeError(
        `macro ${this.#quotedName()} was invoked with two values for the special caller argument.`,
      );
    const [first] = named.keys();
    throw typeError(`macro ${this.#quotedName()} takes no keyword argument '${first}'`);
  }

  #quotedName(): string {
    return this.#shape.name === undefined ? 'None' : `'${this.#shape.name}'`;
  }
}

function take(named: Map<string, PyValue>, name: string): Slot {
  const value = named.get(name);
  named.delete(name);
  return value === undefined ? MISSING : value;
}

function toDict(named: ReadonlyMap<string, PyValue>): PyDict {
  return PyDict.fromEntries(named);
}
