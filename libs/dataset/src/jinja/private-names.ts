import { isInt } from './numbers.js';
import { PyFloat } from './scalars.js';
import { isText } from './text-values.js';
import { PyDict, PyTuple, type PyValue } from './values.js';

/** Names with underscores that Python's types have, and that the sandbox hides. */
const ofObject =
  'class delattr dir doc eq format ge getattribute getstate gt hash init init_subclass le lt ' +
  'ne new reduce reduce_ex repr setattr sizeof str subclasshook';

const ofStr = toNames('add contains getitem getnewargs iter len mod mul rmod rmul');
const ofInt = toNames(
  'abs add and bool ceil divmod float floor floordiv getnewargs index int invert lshift mod ' +
    'mul neg or pos pow radd rand rdivmod rfloordiv rlshift rmod rmul ror round rpow rrshift ' +
    'rshift rsub rtruediv rxor sub truediv trunc xor',
);
const ofFloat = toNames(
  'abs add bool ceil divmod float floor floordiv getformat getnewargs int mod mul neg pos pow ' +
    'radd rdivmod rfloordiv rmod rmul round rpow rsub rtruediv sub truediv trunc',
);
const ofList = toNames(
  'add class_getitem contains delitem getitem iadd imul iter len mul reversed rmul setitem',
);
const ofTuple = toNames('add class_getitem contains getitem getnewargs iter len mul rmul');
const ofDict = toNames(
  'class_getitem contains delitem getitem ior iter len or reversed ror setitem',
);
const ofNone = toNames('bool');
const ofOthers = toNames(
  'annotations builtins call closure code defaults del dict get globals iter kwdefaults ' +
    'module name next qualname',
);

function toNames(own: string): ReadonlySet<string> {
  return new Set(`${ofObject} ${own}`.split(' ').map((name) => `__${name}__`));
}

export function privateNames(value: PyValue): ReadonlySet<string> {
  if (isText(value)) return ofStr;
  if (value === null) return ofNone;
  if (isInt(value)) return ofInt;
  if (value instanceof PyFloat) return ofFloat;
  if (Array.isArray(value)) return ofList;
  if (value instanceof PyTuple) return ofTuple;
  return value instanceof PyDict ? ofDict : ofOthers;
}
