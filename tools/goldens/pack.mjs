/**
 * `node tools/goldens/pack.mjs FOLDER...` makes a fixture NAME.golden.br of each golden folder:
 * config.json, golden.json, model.safetensors and, in a folder of their own, pixels.safetensors of
 * models with images in one file, which @emloc/golden-models unpacks. Of models that make images,
 * in a folder of their own, too, every JSON and safetensors file with the folder that it is in; of
 * operations alone golden.json and tensors.safetensors.
 *
 * Compressed by brotli: the length of a header (uint32, little endian), the header (JSON, the files
 * in order with their name and bytes, and from where on a file is bf16 values), the files. Values
 * come as two planes, first every exponent, then every sign with its mantissa: mantissas of random
 * weights are noise, exponents nearly a constant.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const fixtures = fileURLToPath(new URL('../../libs/golden-models/fixtures/', import.meta.url));

/**
 * @param {Readonly<Record<string, Uint8Array>>} files by name; NAME.safetensors is all bf16,
 *   tensors.safetensors float32, which stays as it is
 * @returns {Uint8Array}
 */
export function pack(files) {
  const entries = Object.entries(files).map(([name, data]) => ({
    name,
    bytes: data.length,
    valuesFrom: isBfloat16(name) ? valuesFrom(data) : data.length,
    data,
  }));
  const header = Buffer.from(
    JSON.stringify(entries.map(({ name, bytes, valuesFrom }) => ({ name, bytes, valuesFrom }))),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const bodies = entries.flatMap(({ data, valuesFrom }) => [
    data.subarray(0, valuesFrom),
    toPlanes(data.subarray(valuesFrom)),
  ]);
  const plain = Buffer.concat([length, header, ...bodies]);
  return brotliCompressSync(plain, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
    },
  });
}

/** @param {string} name of a file */
function isBfloat16(name) {
  return name.endsWith('.safetensors') && name !== 'tensors.safetensors';
}

/** @param {Uint8Array} data @throws Error where a tensor is not bf16 */
function valuesFrom(data) {
  const bytes = Buffer.from(data);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, end));
  for (const [name, { dtype }] of Object.entries(header))
    if (name !== '__metadata__' && dtype !== 'BF16') throw new Error(`${name} is ${dtype}`);
  return end;
}

/** @param {Uint8Array} values little-endian bf16: sign, 8 bits of exponent, 7 of mantissa */
function toPlanes(values) {
  const count = values.length / 2;
  const planes = new Uint8Array(values.length);
  for (let index = 0; index < count; index++) {
    const [low = 0, high = 0] = values.subarray(2 * index, 2 * index + 2);
    planes[index] = ((high & 0x7f) << 1) | (low >> 7);
    planes[count + index] = (high & 0x80) | (low & 0x7f);
  }
  return planes;
}

/** @param {string} folder; what NAME-original-layout lacks is in NAME beside it */
function filesOf(folder) {
  if (existsSync(join(folder, 'tensors.safetensors'))) return allFilesOf(folder);
  const beside = folder.replace(/-original-layout\/?$/, '');
  const found = ['config.json', 'golden.json', 'model.safetensors', 'pixels.safetensors'].flatMap(
    (name) => {
      const file = [folder, beside]
        .map((each) => join(each, name))
        .find((each) => existsSync(each));
      return file === undefined ? [] : [[name, readFileSync(file)]];
    },
  );
  return Object.fromEntries(found);
}

/** @param {string} folder of several models, or of operations */
function allFilesOf(folder) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const kept = names.filter((name) => /\.(json|safetensors)$/.test(name)).sort();
  return Object.fromEntries(kept.map((name) => [name, readFileSync(join(folder, name))]));
}

/** @param {Readonly<Record<string, Uint8Array>>} files the folder within the fixtures */
function placeOf(files) {
  if ('tensors.safetensors' in files)
    return join(fixtures, 'transformer/config.json' in files ? 'diffusion' : 'operations');
  return 'pixels.safetensors' in files ? join(fixtures, 'images') : fixtures;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const folder of process.argv.slice(2)) {
    const files = filesOf(folder);
    const packed = pack(files);
    const file = join(placeOf(files), `${basename(folder)}.golden.br`);
    writeFileSync(file, packed);
    console.log(`${file}: ${packed.length} bytes`);
  }
}
