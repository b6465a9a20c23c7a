/**
 * `node tools/setup/assembly.mjs ENTRY.ts OUTPUT.wasm [--relaxed-simd]` compiles AssemblyScript, as
 * the WebAssembly files of libraries are.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { 'relaxed-simd': { type: 'boolean', default: false } },
});
const [entry, output] = positionals;
if (!entry || !output) throw new Error('assembly: ENTRY.ts and OUTPUT.wasm are expected');
const { error, stderr } = await asc.main([
  entry,
  '--outFile',
  output,
  '-O3',
  '--converge',
  '--noAssert',
  '--enable',
  values['relaxed-simd'] ? 'simd,relaxed-simd' : 'simd',
  '--runtime',
  'stub',
  // Constants lie before the addresses that the caller uses, which are from 64 on.
  '--memoryBase',
  '8',
  '--use',
  'abort=',
]);
if (error) {
  console.error(stderr.toString());
  process.exitCode = 1;
}
