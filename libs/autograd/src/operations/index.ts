import { add } from './add.js';
import { attention } from './attention.js';
import { linear } from './linear.js';
import type { Operation, OperationRule } from './operation.js';
import { rmsNorm } from './rms-norm.js';
import { rope } from './rope.js';
import { swiglu } from './swiglu.js';

const rules: { readonly [K in Operation['kind']]: OperationRule<Extract<Operation, { kind: K }>> } =
  {
    rmsNorm,
    linear,
    rope,
    attention,
    swiglu,
    add,
  };

/** The rule of an operation, typed for any operation. */
export function ruleOf(operation: Operation): OperationRule<Operation> {
  return rules[operation.kind] as unknown as OperationRule<Operation>;
}
