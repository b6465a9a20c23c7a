import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { blasCandidates, explicitCandidate, libraryOf } from './find-blas.js';

const linux = (environment: Record<string, string> = {}) =>
  blasCandidates({ platform: 'linux', environment });

describe('BLAS finder', () => {
  test('tries OpenBLAS, MKL, BLIS in this order on Linux', () => {
    const libraries = linux().map(({ library }) => library);
    expect(libraries.filter((library, i) => library !== libraries[i - 1])).toEqual([
      'openblas',
      'mkl',
      'blis',
    ]);
    expect(linux()[0]?.paths).toEqual(['libopenblas.so.0']);
    expect(linux().at(-1)?.paths).toHaveLength(2);
  });

  test('tries Accelerate first on macOS', () => {
    expect(blasCandidates({ platform: 'darwin', environment: {} })[0]?.library).toBe('accelerate');
  });

  test('EMLOC_BLAS_PATH leaves nothing else', () => {
    expect(linux({ EMLOC_BLAS_PATH: '/opt/libmkl_rt.so.2' })).toEqual([
      { library: 'mkl', paths: ['/opt/libmkl_rt.so.2'] },
    ]);
    expect(linux({ EMLOC_BLAS_PATH: '/a/libblis.so:/a/liblapack.so' })[0]?.paths).toEqual([
      '/a/libblis.so',
      '/a/liblapack.so',
    ]);
  });

  test('finds the libraries of wheels and conda, without those of 64-bit integers', () => {
    const prefix = mkdtempSync(join(tmpdir(), 'emloc-blas-'));
    try {
      const wheels = join(prefix, 'lib', 'python3.12', 'site-packages', 'scipy.libs');
      mkdirSync(wheels, { recursive: true });
      for (const name of [
        'libopenblas-r0-f650aae0.3.3.so',
        'libopenblas64_p-r0-0cf96a72.3.23.so',
        'libgfortran.so.5',
      ])
        writeFileSync(join(wheels, name), '');
      const found = linux({ VIRTUAL_ENV: prefix })
        .flatMap(({ paths }) => paths)
        .filter((path) => path.startsWith(prefix));
      expect(found).toEqual([join(wheels, 'libopenblas-r0-f650aae0.3.3.so')]);
      writeFileSync(join(prefix, 'lib', 'libmkl_rt.so.2'), '');
      expect(
        linux({ CONDA_PREFIX: prefix })
          .filter(({ library }) => library === 'mkl')
          .flatMap(({ paths }) => paths),
      ).toContain(join(prefix, 'lib', 'libmkl_rt.so.2'));
    } finally {
      rmSync(prefix, { recursive: true });
    }
  });

  test('names libraries by their file', () => {
    expect(
      ['/x/libopenblasp-r0.so', 'libmkl_rt.so', 'libblis.so.4', 'libblas.so.3'].map(libraryOf),
    ).toEqual(['openblas', 'mkl', 'blis', 'blas']);
    expect(explicitCandidate('libblas.so.3').library).toBe('blas');
  });
});
