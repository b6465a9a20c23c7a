import type { AdapterWeights } from './adapter-weights.js';
import type { Checkpoint } from './checkpoint.js';
import {
  firstDifference,
  rowsOfCheckpoint,
  rowsOfFile,
  type TensorRows,
} from './compare-tensors.js';
import { CheckpointError, quoted } from './errors.js';
import { assertFinite } from './finite.js';
import { openCheckpoint } from './open-checkpoint.js';
import { parseCopyName } from './peft-names.js';
import { embeddingIn, isHead } from './tied-head.js';
import { knownName } from './wrapped-names.js';

/**
 * Checks that every copy of a base's tensor in an adapter's file is the base's: PEFT would compute
 * with the copy.
 * @param options.base the base model's folder
 * @throws CheckpointError CHECKPOINT_ADAPTER_UNSUPPORTED, CHECKPOINT_NOT_FINITE by tensor
 */
export async function assertCopies(
  file: AdapterWeights,
  {
    base,
    signal,
  }: { readonly base?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const copies = [...file.tensors.keys()].flatMap((copy) => {
    const original = parseCopyName(copy);
    return original === null ? [] : [{ copy, original }];
  });
  const [first] = copies;
  if (!first) return;
  if (base === undefined)
    throw refusal(file, first.copy, 'which cannot be compared without the base');
  await using checkpoint = await openCheckpoint(base, { signal });
  for (const { copy, original } of copies) await assertCopy(file, copy, { checkpoint, original });
}

interface Original {
  readonly checkpoint: Checkpoint;
  readonly original: string;
}

async function assertCopy(
  file: AdapterWeights,
  copy: string,
  { checkpoint, original }: Original,
): Promise<void> {
  const stored = knownName(original, (each) => checkpoint.tensors.has(each));
  const name = stored ?? (isHead(original) ? embeddingIn(checkpoint) : undefined);
  if (name === undefined) throw refusal(file, copy, `which ${checkpoint.folder} does not have`);
  const [mine, theirs] = [finiteRows(file, copy), rowsOfCheckpoint(checkpoint, name)];
  if (mine.shape.join() !== theirs.shape.join())
    throw refusal(
      file,
      copy,
      `but has shape [${mine.shape.join(', ')}], the base's [${theirs.shape.join(', ')}]`,
    );
  const difference = await firstDifference(mine, theirs);
  if (!difference) return;
  const [here, there] = difference;
  throw refusal(
    file,
    copy,
    `but differs from it (${here} where the base has ${there}): PEFT would compute with the copy`,
  );
}

function finiteRows(file: AdapterWeights, name: string): TensorRows {
  const rows = rowsOfFile(file, name);
  return {
    ...rows,
    read: async (start, end, destination) => {
      await rows.read(start, end, destination);
      assertFinite(destination, rows.dtype, { name, file: file.rangeOf(name).path });
    },
  };
}

function refusal(file: AdapterWeights, copy: string, reason: string): CheckpointError {
  return new CheckpointError(
    'CHECKPOINT_ADAPTER_UNSUPPORTED',
    `${file.path}: ${quoted(copy)} stands for a tensor of the base, ${reason}`,
  );
}
