import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { instantiateKernels } from './wasm.js';

describe('WebAssembly kernels', () => {
  test('are what assembly/ compiles to', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emloc-wasm-'));
    try {
      const output = join(folder, 'kernels.wasm');
      execFileSync(
        process.execPath,
        [fileURLToPath(new URL('../assembly/build.mjs', import.meta.url)), output],
        { stdio: 'pipe' },
      );
      const committed = readFileSync(new URL('./kernels.wasm', import.meta.url));
      expect(readFileSync(output).equals(committed)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('exponentials are within 2 ulp and saturate without overflow', () => {
    const kernels = instantiateKernels();
    kernels.memory.grow(1);
    const inputs = Float32Array.from([
      ...Array.from({ length: 4001 }, (_, i) => (i - 2000) / 23),
      0,
      -0,
      -1000,
      -Infinity,
    ]);
    const memory = new Float32Array(kernels.memory.buffer, 64, inputs.length);
    memory.set(inputs);
    kernels.expRow(64, inputs.length, 0);
    memory.forEach((value, i) => {
      const exact = Math.exp(Math.max(-87, Math.min(88, inputs[i] as number)));
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(2.5 * 2 ** -23 * exact);
    });
  });

  test('exponentials pass NaN on', () => {
    const kernels = instantiateKernels();
    kernels.memory.grow(1);
    const memory = new Float32Array(kernels.memory.buffer, 64, 5).fill(Number.NaN);
    expect(kernels.expRow(64, 5, 0)).toBeNaN();
    expect(Array.from(memory)).toEqual(new Array(5).fill(Number.NaN));
  });
});
