import { at } from '@emloc/checked';

import { readSlot, type Place } from './compile-context.js';
import { pythonError, typeError, valueError } from './errors.js';
import { Namespace } from './globals.js';
import { type NamespaceNode, type Target, type TupleNode } from './nodes.js';
import { type Frame } from './render-state.js';
import { isIterable, toIterator, typeNameOf } from './types.js';
import { type PyValue } from './values.js';

export type Assign = (frame: Frame, value: PyValue) => void;

/** Assigns to a name, an attribute of a namespace, or several of them. */
export function compileTarget(target: Target, place: Place): Assign {
  if (target.kind === 'nsref') return compileAttribute(target, place);
  if (target.kind === 'tuple') return compileTuple(target, place);
  const { index } = place.ref(target.name, target.line);
  return (frame, value) => {
    frame.slots[index] = value;
  };
}

function compileTuple(target: TupleNode, place: Place): Assign {
  // The parser only lets targets into a tuple that is assigned to.
  const parts = target.items.map((item) => compileTarget(item as Target, place));
  return (frame, value) => {
    const values = unpack(value, parts.length);
    parts.forEach((assign, i) => assign(frame, at(values, i)));
  };
}

function unpack(value: PyValue, count: number): PyValue[] {
  if (!isIterable(value)) throw typeError(`cannot unpack non-iterable ${typeNameOf(value)} object`);
  const next = toIterator(value);
  const values: PyValue[] = [];
  for (let item = next(); item !== undefined; item = next()) {
    if (values.length === count) throw valueError(`too many values to unpack (expected ${count})`);
    values.push(item);
  }
  if (values.length < count)
    throw valueError(`not enough values to unpack (expected ${count}, got ${values.length})`);
  return values;
}

function compileAttribute({ name, attribute, line }: NamespaceNode, place: Place): Assign {
  const ref = place.ref(name, line);
  const read = readSlot(place.hopsTo(ref), ref.index);
  return (frame, value) => {
    const namespace = read(frame);
    if (!(namespace instanceof Namespace)) throw notNamespace();
    namespace.attributes.set(attribute, value);
  };
}

/** Namespaces are looked at before the value is evaluated. */
export function compileNamespaceCheck(target: Target, place: Place): (frame: Frame) => void {
  const reads = namespacesOf(target).map(({ name, line }) => {
    const ref = place.ref(name, line);
    return readSlot(place.hopsTo(ref), ref.index);
  });
  return (frame) => {
    for (const read of reads) if (!(read(frame) instanceof Namespace)) throw notNamespace();
  };
}

function namespacesOf(target: Target): NamespaceNode[] {
  if (target.kind === 'nsref') return [target];
  return target.kind === 'tuple'
    ? target.items.flatMap((item) => namespacesOf(item as Target))
    : [];
}

function notNamespace(): Error {
  return pythonError('TemplateRuntimeError', 'cannot assign attribute on non-namespace object');
}

/** Names that an assignment sets. */
export function namesOf(target: Target): string[] {
  if (target.kind === 'name') return [target.name];
  return target.kind === 'tuple' ? target.items.flatMap((item) => namesOf(item as Target)) : [];
}
