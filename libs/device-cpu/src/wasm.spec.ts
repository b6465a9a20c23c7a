import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { activationCodes } from './activations.js';
import { instantiateKernels } from './wasm.js';

describe('WebAssembly kernels', () => {
  test.each([
    ['kernels.wasm', []],
    ['kernels-relaxed.wasm', ['--relaxed-simd']],
  ])('%s is what assembly/ compiles to', (name, flags) => {
    const folder = mkdtempSync(join(tmpdir(), 'emloc-wasm-'));
    try {
      const output = join(folder, 'kernels.wasm');
      execFileSync(
        process.execPath,
        ['../../../tools/setup/assembly.mjs', '../assembly/index.ts']
          .map((file) => fileURLToPath(new URL(file, import.meta.url)))
          .concat(output, '--constants-at', '8', flags),
        { stdio: 'pipe' },
      );
      const committed = readFileSync(new URL(name, import.meta.url));
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

  test('gelu is within 8 ulp, and keeps its relative accuracy in the tail', () => {
    const kernels = instantiateKernels();
    kernels.memory.grow(1);
    // x Φ(x) in double precision
    const known = [
      [-8, -4.9767684594174555e-15],
      [-5, -1.4332578593959731e-6],
      [-3, -0.004049694094890287],
      [-2, -0.04550026389635844],
      [-1, -0.15865525393145707],
      [-0.5, -0.15426876936299344],
      [-0.01, -0.004960106436853684],
      [0.01, 0.005039893563146316],
      [0.5, 0.34573123063700656],
      [1, 0.8413447460685429],
      [2, 1.9544997361036416],
      [3, 2.99595030590511],
      [5, 4.99999856674214],
      [8, 7.999999999999995],
      [100, 100],
      [-100, 0],
    ] as const;
    const memory = new Float32Array(kernels.memory.buffer, 64, known.length);
    memory.set(known.map(([x]) => x));
    kernels.activationForward(activationCodes.gelu, 64, known.length);
    known.forEach(([x, exact], i) => {
      const limit = (x < -3 ? 80 : 8) * 2 ** -24 * Math.abs(exact);
      expect(Math.abs((memory[i] as number) - exact)).toBeLessThanOrEqual(limit);
    });
  });

  test('soft caps are within 4 ulp, and 1 where tanh is', () => {
    const kernels = instantiateKernels();
    kernels.memory.grow(1);
    const inputs = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 150);
    const memory = new Float32Array(kernels.memory.buffer, 64, inputs.length);
    memory.set(inputs);
    kernels.capRow(64, inputs.length, 1);
    memory.forEach((value, i) => {
      const exact = Math.tanh(inputs[i] as number);
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(4 * 2 ** -24 * Math.abs(exact));
    });
    expect([memory[0], memory.at(-1)]).toEqual([-1, 1]);
  });
});
