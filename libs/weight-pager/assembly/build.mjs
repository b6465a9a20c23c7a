/** `node libs/weight-pager/assembly/build.mjs [OUTPUT]` compiles what quantises; without OUTPUT to src/quantize/quantize.wasm. */
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? join(folder, '../src/quantize/quantize.wasm');
const { error, stderr } = await asc.main([
  join(folder, 'index.ts'),
  '--outFile',
  output,
  '-O3',
  '--converge',
  '--noAssert',
  '--enable',
  'simd',
  '--runtime',
  'stub',
  '--use',
  'abort=',
]);
if (error) {
  console.error(stderr.toString());
  process.exitCode = 1;
}
