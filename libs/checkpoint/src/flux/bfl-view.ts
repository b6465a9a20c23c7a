import { rowsIn, type StoredTensor, type TensorPart } from '../checkpoint.js';
import { CheckpointError, quoted } from '../errors.js';
import { isFloat } from '../floats.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { SafetensorsTensor } from '../safetensors-header.js';
import { bflModule, bflModules, numbered, rowsOfModules, type BflModule } from './bfl-names.js';
import { listed } from './listed.js';

const optionalPrefix = 'model.diffusion_model.';
/** The module that a file has or has not: FLUX.1-schnell takes no guidance. */
const optionalModules = /^guidance_in\./;

/** The transformer in a single file: its tensors under the names of the layout. */
export interface BflTensors {
  readonly file: SafetensorsFile;
  /** What stands before every name in the file. */
  readonly prefix: string;
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Columns of `img_in`'s output: the width of the two streams. */
  readonly width: number;
  readonly blocks: Readonly<Record<'double' | 'single', number>>;
}

/** Whether names of tensors are those of a FLUX transformer in a single file. */
export function isBfl(names: Iterable<string>): boolean {
  const bare = new Set([...names].map((name) => name.replace(optionalPrefix, '')));
  return ['img_in.weight', 'double_blocks.0.img_attn.qkv.weight'].every((name) => bare.has(name));
}

/**
 * The tensors of a transformer in a file; with the prefix, others of the file are left alone.
 * @throws CheckpointError CHECKPOINT_UNSUPPORTED_FORMAT for quantised weights and for tensors that
 * no FLUX.1 has, CHECKPOINT_TENSOR_MISSING
 */
export function bflTensors(file: SafetensorsFile): BflTensors {
  const isWrapped = [...file.tensors.keys()].some((name) => name.startsWith(optionalPrefix));
  const prefix = isWrapped ? optionalPrefix : '';
  const own = [...file.tensors].filter(([name]) => name.startsWith(prefix));
  const tensors = new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  assertFloats(file, tensors);
  assertKnown(file, tensors);
  const blocks = { double: blocksOf(tensors, 'double'), single: blocksOf(tensors, 'single') };
  assertComplete(file, tensors, blocks);
  return {
    file,
    prefix,
    tensors,
    blocks,
    width: rowsIn(tensors.get('img_in.weight')?.shape ?? []),
  };
}

/**
 * The tensors of diffusers' transformer, as rows of those that are stored.
 * @throws CheckpointError CHECKPOINT_TENSOR_MISMATCH where rows do not come out
 */
export function diffusersView(name: string, bfl: BflTensors): Map<string, StoredTensor> {
  const view = new Map<string, StoredTensor>();
  for (const [stored, { dtype, shape }] of bfl.tensors) {
    const [path, kind] = moduleAndKind(stored);
    const module = bflModule(path);
    if (!module) continue;
    const columns = shape.slice(1);
    for (const [target, parts] of partsOf(module, stored, bfl)) {
      const rows = parts.reduce((sum, part) => sum + part.rows, 0);
      const tensor = `${target}.${kind === 'scale' ? 'weight' : kind}`;
      view.set(tensor, { dtype, shape: [rows, ...columns], file: name, parts });
    }
  }
  return view;
}

/** Rows of a stored tensor by the module of diffusers that they belong to. */
function partsOf(
  module: BflModule,
  stored: string,
  { file, prefix, tensors, width }: BflTensors,
): readonly (readonly [module: string, parts: readonly TensorPart[]])[] {
  const shape = tensors.get(stored)?.shape ?? [];
  const rows = rowsIn(shape);
  const counts = rowsOfModules(module, { rows, width });
  if (counts === null || (module.isSwapped === true && rows % 2 !== 0)) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR_MISMATCH',
      `${file.path}: ${quoted(prefix + stored)} has shape [${shape.join(', ')}], whose rows cannot be divided into ${module.modules.join(', ')} of width ${width}`,
    );
  }
  const part = (start: number, count: number) => ({ stored: prefix + stored, start, rows: count });
  let start = 0;
  return module.modules.map((target, index) => {
    const count = counts[index] ?? 0;
    const whole = [part(start, count)];
    start += count;
    return [target, module.isSwapped ? [part(rows / 2, rows / 2), part(0, rows / 2)] : whole];
  });
}

function assertFloats(
  file: SafetensorsFile,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
): void {
  const [quantised] = [...tensors].filter(([, { dtype }]) => !isFloat(dtype));
  if (!quantised) return;
  const [name, { dtype }] = quantised;
  throw new CheckpointError(
    'CHECKPOINT_UNSUPPORTED_FORMAT',
    `${file.path}: ${quoted(name)} has dtype ${dtype}; supported are bfloat16, float16, float32: quantised weights cannot be tuned, use the model's bfloat16 file`,
  );
}

function assertKnown(file: SafetensorsFile, tensors: ReadonlyMap<string, SafetensorsTensor>): void {
  const unknown = [...tensors.keys()].filter((name) => {
    const [path, kind] = moduleAndKind(name);
    const module = bflModule(path);
    const kinds = module?.onlyTensor ? [module.onlyTensor] : ['weight', 'bias'];
    return !module || !kinds.includes(kind);
  });
  if (unknown.length === 0) return;
  throw new CheckpointError(
    'CHECKPOINT_UNSUPPORTED_FORMAT',
    `${file.path} is no FLUX.1 text-to-image transformer: it has ${listed(unknown)}`,
  );
}

function assertComplete(
  file: SafetensorsFile,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  blocks: BflTensors['blocks'],
): void {
  const hasOptional = [...tensors.keys()].some((name) => optionalModules.test(name));
  const missing = bflModules
    .filter(({ stored }) => hasOptional || !optionalModules.test(stored))
    .flatMap(({ stored, onlyTensor }) => {
      const kind = /^(double|single)_blocks\./.exec(stored)?.[1] as 'double' | 'single' | undefined;
      const count = kind ? Math.max(blocks[kind], 1) : 1;
      const paths = Array.from({ length: count }, (_, number) => numbered(number)(stored));
      const kinds = onlyTensor ? [onlyTensor] : ['weight', 'bias'];
      return paths.flatMap((path) => kinds.map((each) => `${path}.${each}`));
    })
    .filter((name) => !tensors.has(name));
  if (missing.length > 0)
    throw new CheckpointError('CHECKPOINT_TENSOR_MISSING', `${file.path} lacks ${listed(missing)}`);
}

/** How many blocks there are; where one before the last is missing, that shows in its tensors. */
function blocksOf(tensors: ReadonlyMap<string, unknown>, kind: 'double' | 'single'): number {
  const pattern = new RegExp(`^${kind}_blocks\\.(\\d+)\\.`);
  const numbers = new Set([...tensors.keys()].map((name) => pattern.exec(name)?.[1]));
  numbers.delete(undefined);
  return numbers.size;
}

function moduleAndKind(name: string): readonly [path: string, kind: string] {
  const dot = name.lastIndexOf('.');
  return [name.slice(0, dot), name.slice(dot + 1)];
}
