/**
 * `node tools/setup/assembly.mjs ENTRY.ts OUTPUT.wasm [--relaxed-simd] [--constants-at
 * ADDRESS]` compiles AssemblyScript, as the WebAssembly files of libraries are.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    'relaxed-simd': { type: 'boolean', default: false },
    'constants-at': { type: 'string' },
  },
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
  ...(values['constants-at'] ? ['--memoryBase', values['constants-at']] : []),
  '--use',
  'abort=',
]);
if (error) {
  console.error(stderr.toString());
  process.exitCode = 1;
}
