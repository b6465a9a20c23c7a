import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { changedUnits, readKernelRecord, renewKernelRecord } from '../test/kernel-record.js';
import { unitGroups } from '../test/kernel-units.js';
import { compileUnits, nvccVersion } from '../test/nvcc.js';
import { kernelFiles, kernelSource, targetOf } from './compiler.js';
import { createKernelCache, kernelCacheFolder, kernelKey } from './kernel-cache.js';

describe('kernel files', () => {
  test('are found, and their includes are put in place', () => {
    expect(kernelFiles()).toEqual(
      expect.arrayContaining(['attention', 'attention-backward', 'add-bias', 'rms-norm', 'adamw']),
    );
    for (const name of kernelFiles()) {
      expect(kernelSource(name)).toContain('struct alignas(2) bf16');
      expect(kernelSource(name)).not.toContain('#include');
    }
  });

  const groups = unitGroups();
  const [small, large, variants] = groups.map(({ units }) => units);

  test('are compiled, all of them, and with macros those whose registers are scarce', () => {
    expect([...(small ?? []), ...(large ?? [])].sort()).toEqual(kernelFiles());
    expect(variants?.length).toBeGreaterThan(20);
  });

  test('compiled without a warning as they are, as the record says: `UPDATE_KERNELS=1 npm run jest -- libs/device-cuda/src/kernels.spec` renews it with nvcc', () => {
    if (process.env['UPDATE_KERNELS']) renewKernelRecord(groups);
    const record = readKernelRecord();
    const changed = groups.flatMap((group) => changedUnits(record, group));
    expect({ changed }).toEqual({ changed: [] });
    expect(Object.keys(record).sort()).toEqual(groups.flatMap(({ units }) => units).sort());
  });

  test('spill next to nothing with macros', () => {
    const record = readKernelRecord();
    for (const unit of variants ?? []) {
      const { spilledBytes = [] } = record[unit] ?? {};
      expect({ unit, kernels: spilledBytes.length }).not.toEqual({ unit, kernels: 0 });
      // Below this the compiler prefers one more block on the processor.
      for (const bytes of spilledBytes)
        expect({ unit, bytes: Math.min(bytes, 64) }).toEqual({ unit, bytes });
    }
  });

  const whenNvcc = nvccVersion() === null ? test.skip : test;

  whenNvcc('are compiled as the record says', () => {
    const unit = 'decode-attention:LANES=1:GROUP=1:ALIGNED=0';
    const { args = [] } = groups.find(({ units }) => units.includes(unit)) ?? {};
    const { spilledBytes } = readKernelRecord()[unit] ?? {};
    expect(compileUnits({ units: [unit], args }).get(unit)).toHaveLength(spilledBytes?.length ?? 0);
  });
});

describe('kernel compiler', () => {
  test('compiles machine code where it can, else for the newest older card', () => {
    expect(targetOf(90, [80, 89, 90])).toBe('sm_90a');
    expect(targetOf(89, [80, 89, 90])).toBe('sm_89');
    expect(targetOf(131, [80, 100, 120])).toBe('compute_120');
    expect(() => targetOf(70, [80, 90])).toThrow(
      expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
    );
  });

  test('keeps images under a key of everything that decides them, and drops damaged ones', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emloc-cache-'));
    try {
      const cache = createKernelCache(join(folder, 'deep'));
      const key = kernelKey(['source', 'sm_90', '13.0']);
      expect(key).not.toBe(kernelKey(['source', 'sm_89', '13.0']));
      expect(cache.read(key)).toBeNull();
      cache.write(key, Uint8Array.of(1, 2, 3));
      expect([...(cache.read(key) ?? [])]).toEqual([1, 2, 3]);
      expect(readdirSync(join(folder, 'deep'))).toEqual([key]);
      writeFileSync(join(folder, 'deep', key), 'damaged');
      expect(cache.read(key)).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('works without a cache folder that can be written to', () => {
    const cache = createKernelCache(
      fileURLToPath(new URL('./kernels.spec.ts/below-a-file', import.meta.url)),
    );
    cache.write('key', Uint8Array.of(1));
    expect(cache.read('key')).toBeNull();
    expect(kernelCacheFolder({ XDG_CACHE_HOME: '/var/cache/me' })).toBe(
      '/var/cache/me/emloc/kernels',
    );
  });
});
