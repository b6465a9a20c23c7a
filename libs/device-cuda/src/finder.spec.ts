import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { findLibrary, libraryFileName, libraryFolders, parseLoaderCache } from './finder.js';
import { findToolkit } from './libraries.js';

describe('library finder', () => {
  let root = '';
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'emloc-cuda-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  const place = (path: string): string => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
    return file;
  };

  test('names files as each CUDA version does', () => {
    expect(libraryFileName('cusolver', 12)).toBe('libcusolver.so.11');
    expect(libraryFileName('cusolver', 13)).toBe('libcusolver.so.12');
    expect(libraryFileName('nvrtc', 13)).toBe('libnvrtc.so.13');
  });

  test.each([
    ['a toolkit named by EMLOC_CUDA_PATH', 'cuda/lib64/libcublas.so.13', 'EMLOC_CUDA_PATH', 'cuda'],
    [
      'a folder of libraries named by EMLOC_CUDA_PATH',
      'libs/libcublas.so.13',
      'EMLOC_CUDA_PATH',
      'libs',
    ],
    ['CUDA_HOME', 'home/targets/x86_64-linux/lib/libcublas.so.13', 'CUDA_HOME', 'home'],
    ['LD_LIBRARY_PATH', 'ld/libcublas.so.13', 'LD_LIBRARY_PATH', 'ld'],
    [
      'CUDA 13 packages of a Python environment',
      'venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublas.so.13',
      'VIRTUAL_ENV',
      'venv',
    ],
    [
      'CUDA 12 packages of a Conda environment',
      'conda/lib/python3.11/site-packages/nvidia/cublas/lib/libcublas.so.13',
      'CONDA_PREFIX',
      'conda',
    ],
  ])('finds %s', (_what, path, variable, folder) => {
    const file = place(path);
    expect(findLibrary('libcublas.so.13', libraryFolders({ [variable]: join(root, folder) }))).toBe(
      file,
    );
  });

  test('looks into EMLOC_CUDA_PATH before everything else', () => {
    const [mine] = [place('mine/lib64/libnvrtc.so.12'), place('other/lib64/libnvrtc.so.12')];
    const folders = libraryFolders({
      EMLOC_CUDA_PATH: join(root, 'mine'),
      CUDA_HOME: join(root, 'other'),
      LD_LIBRARY_PATH: join(root, 'other/lib64'),
    });
    expect(findLibrary('libnvrtc.so.12', folders)).toBe(mine);
  });

  test('takes the complete toolkit that the driver can run', () => {
    const names = ['nvJitLink', 'cublasLt', 'cublas', 'cusparse', 'cusolver', 'nvrtc'] as const;
    for (const name of names) place(`twelve/lib64/${libraryFileName(name, 12)}`);
    for (const name of names) place(`thirteen/lib64/${libraryFileName(name, 13)}`);
    const folders = [join(root, 'thirteen/lib64'), join(root, 'twelve/lib64')];
    expect(findToolkit(13_000, folders).major).toBe(13);
    expect(findToolkit(12_080, folders).major).toBe(12);
    rmSync(join(root, 'thirteen/lib64/libcusolver.so.12'));
    expect(findToolkit(13_000, folders).major).toBe(12);
  });

  test('says which library is missing', () => {
    for (const name of ['nvJitLink', 'cublasLt', 'cublas', 'cusparse', 'nvrtc'] as const)
      place(`lib/${libraryFileName(name, 13)}`);
    const missing = findToolkit(13_000, [join(root, 'lib')]).reports.filter(
      ({ problem }) => problem,
    );
    expect(missing.map(({ name }) => name)).toEqual(['libcusolver.so.12']);
  });

  test("reads the loader's cache", () => {
    const text =
      '2 libs found in cache\n\tlibcuda.so.1 (libc6) => /usr/lib/libcuda.so.1\n\tlibnvrtc.so.13 (libc6,x86-64) => /opt/libnvrtc.so.13\n';
    expect([...parseLoaderCache(text)]).toEqual([
      ['libcuda.so.1', '/usr/lib/libcuda.so.1'],
      ['libnvrtc.so.13', '/opt/libnvrtc.so.13'],
    ]);
  });
});
