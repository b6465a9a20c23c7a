/**
 * `node tools/setup/assembly.mjs ENTRY.ts OUTPUT.wasm` compiles AssemblyScript, as the WebAssembly
 * files of libraries are.
 */
import process from 'node:process';
import asc from 'assemblyscript/asc';

const [entry, output] = process.argv.slice(2);
if (!entry || !output) throw new Error('assembly: ENTRY.ts and OUTPUT.wasm are expected');
const { error, stderr } = await asc.main([
  entry,
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
