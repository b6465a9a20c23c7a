import { quoted, type Checkpoint } from '@emloc/checkpoint';

import { blockOf } from './checkpoint-blocks.js';
import { ModelError } from './errors.js';
import type { ModelLayout } from './layout.js';

/** Names of tensors that are given as examples. */
const shownNames = 3;
const needed = 'the names that save_pretrained of the model itself writes are needed';

/**
 * The error of a checkpoint without a tensor that its layout has; says what is there instead: the
 * same tensor under another name (compiling, parallel training and wrappers around a model or its
 * blocks leave prefixes), fewer blocks, or other tensors altogether.
 */
export function missingTensor(
  name: string,
  layout: ModelLayout,
  { tensors, folder }: Checkpoint,
): ModelError {
  const names = [...tensors.keys()];
  const instead =
    otherName(name, name, names) ??
    fewerBlocks(name, layout, names) ??
    otherName(name, name.replace(/^model\./, ''), names) ??
    longerName(name, names) ??
    others(names);
  return new ModelError(
    'MODEL_TENSOR_MISSING',
    `the checkpoint in ${folder} lacks the tensor ${name}${instead}`,
  );
}

/** Where the checkpoint ends before this block. */
function fewerBlocks(name: string, layout: ModelLayout, names: readonly string[]): string | null {
  const missing = blockOf(name, layout);
  if (missing === null) return null;
  const { count, key } = missing.blocks;
  const within = { numbered: [missing.blocks] };
  const most = names.reduce(
    (last, each) => Math.max(last, blockOf(each, within)?.number ?? -1),
    -1,
  );
  if (most < 0 || most >= missing.number) return null;
  return `: it has ${most + 1} layers, config.json says ${count} (${key})`;
}

/** Where a name ends like this one from `suffix` on. */
function otherName(name: string, suffix: string, names: readonly string[]): string | null {
  const found = names.find((each) => each === suffix || each.endsWith(`.${suffix}`));
  if (found === undefined) return null;
  const expected = name.slice(0, name.length - suffix.length);
  const prefix = found.slice(0, found.length - suffix.length);
  return `, but has ${quoted(found)}: ${prefixed(prefix)} in place of ${prefixed(expected)}; ${needed}`;
}

/** Where a name has all parts of this one and more between them, as wrapped blocks have. */
function longerName(name: string, names: readonly string[]): string | null {
  for (const found of names) {
    const more = partsBeside(name.split('.'), found.split('.'));
    if (more === null) continue;
    return `, but has ${quoted(found)}: with ${quoted(more.join('.'))} in it; ${needed}`;
  }
  return null;
}

/** The parts of `longer` that are not in `parts`, where these stand in it in order; else null. */
function partsBeside(parts: readonly string[], longer: readonly string[]): string[] | null {
  let matched = 0;
  const beside = longer.filter((part) => {
    const isNext = part === parts[matched];
    if (isNext) matched += 1;
    return !isNext;
  });
  return matched === parts.length ? beside : null;
}

function prefixed(prefix: string): string {
  return prefix === '' ? 'no prefix' : `the prefix ${quoted(prefix)}`;
}

function others(names: readonly string[]): string {
  const examples = names.slice(0, shownNames).map(quoted).join(', ');
  return `; it has ${names.length} others${examples === '' ? '' : `, such as ${examples}`}`;
}
