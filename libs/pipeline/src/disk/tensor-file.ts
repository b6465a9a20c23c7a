import {
  ByteHasher,
  openSafetensors,
  writeSafetensors,
  type SafetensorsFile,
} from '@emloc/checkpoint';

import { RecordReader, type RecordTensor, type TensorRecord } from '../records/tensor-record.js';

const checksumAttribute = 'sha256';

/**
 * Writes a record as a safetensors file, whole or not at all, with a checksum of its data and
 * attributes.
 * @param hasher whose thread is used; absent: one of this call's own
 */
export async function writeTensorFile(
  path: string,
  { tensors, attributes }: TensorRecord,
  hasher?: ByteHasher,
): Promise<void> {
  await using own = new ByteHasher();
  const entries = tensors.map(({ name, shape, dtype, bytes }) => ({
    name,
    shape,
    dtype,
    data: () => bytes,
  }));
  await writeSafetensors(path, entries, {
    ...attributes,
    [checksumAttribute]: await checksum({ tensors, attributes }, hasher ?? own),
  });
}

/**
 * Reads a record back.
 * @throws CheckpointError; PipelineError PIPELINE_RECORD_INVALID when the file is damaged
 */
export async function readTensorFile(path: string): Promise<TensorRecord> {
  await using file = await openSafetensors(path);
  const { [checksumAttribute]: expected, ...attributes } = file.metadata;
  const tensors: RecordTensor[] = [];
  for (const name of file.tensors.keys()) tensors.push(await readTensor(file, name));
  const record = { tensors, attributes };
  await using hasher = new ByteHasher();
  if ((await checksum(record, hasher)) !== expected)
    throw new RecordReader(record, path).invalid('its checksum does not match');
  return record;
}

async function readTensor(file: SafetensorsFile, name: string): Promise<RecordTensor> {
  const tensor = file.tensors.get(name);
  if (!tensor) throw new Error(`no tensor ${name} in ${file.path}`);
  const bytes = new Uint8Array(tensor.end - tensor.start);
  await file.read(name, bytes);
  return { name, dtype: tensor.dtype as RecordTensor['dtype'], shape: tensor.shape, bytes };
}

/** Independent of the order of tensors and attributes. */
function checksum({ tensors, attributes }: TensorRecord, hasher: ByteHasher): Promise<string> {
  const names = (a: readonly [string, unknown], b: readonly [string, unknown]): number =>
    a[0] < b[0] ? -1 : 1;
  const texts = Object.entries(attributes)
    .sort(names)
    .map((attribute) => JSON.stringify(attribute));
  const data = tensors
    .map((tensor) => [tensor.name, tensor] as const)
    .sort(names)
    .flatMap(([name, { dtype, shape, bytes }]) => [JSON.stringify([name, dtype, shape]), bytes]);
  return hasher.hash([...texts, ...data]);
}
