import { existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { at } from '@emloc/checked';

import type { CpuDescription } from './linear-algebra.js';

/** Files that together have BLAS and LAPACK, to be tried in this order. */
export interface BlasCandidate {
  readonly library: CpuDescription['library'];
  /** Absolute, or bare names that the system's loader looks up. */
  readonly paths: readonly string[];
}

interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const here: Surroundings = { platform: process.platform, environment: process.env };

/** The kind of library that a path names. */
export function libraryOf(path: string): CpuDescription['library'] {
  const name = path.split(/[\\/]/).at(-1)?.toLowerCase() ?? '';
  if (name.includes('openblas')) return 'openblas';
  if (name.includes('mkl')) return 'mkl';
  if (name.includes('blis')) return 'blis';
  return name === 'accelerate' ? 'accelerate' : 'blas';
}

/**
 * Places where a BLAS may be, best first: `EMLOC_BLAS_PATH` (alone, when set), OpenBLAS, MKL, BLIS,
 * Accelerate first on macOS.
 */
export function blasCandidates(surroundings: Surroundings = here): readonly BlasCandidate[] {
  const chosen = surroundings.environment.EMLOC_BLAS_PATH;
  if (chosen) return [explicitCandidate(chosen)];
  const { platform } = surroundings;
  if (platform === 'win32')
    return [
      ...single('openblas', ['libopenblas.dll', 'openblas.dll']),
      ...single('mkl', ['mkl_rt.2.dll']),
    ];
  if (platform === 'darwin')
    return [...accelerate, ...single('openblas', openBlasFiles(surroundings))];
  return [
    ...single('openblas', openBlasFiles(surroundings)),
    ...single('mkl', [
      'libmkl_rt.so.2',
      'libmkl_rt.so',
      ...inFolders(condaFolders(surroundings), /^libmkl_rt\.so/),
    ]),
    { library: 'blis', paths: ['libblis.so.4', 'liblapack.so.3'] },
    { library: 'blis', paths: ['libblis.so', 'liblapack.so'] },
  ];
}

/** One library, or BLAS and LAPACK separated as in PATH. */
export function explicitCandidate(path: string): BlasCandidate {
  const paths = path.split(delimiter).filter((part) => part !== '');
  return { library: libraryOf(paths.at(0) ?? path), paths };
}

const accelerate: readonly BlasCandidate[] = [
  { library: 'accelerate', paths: ['/System/Library/Frameworks/Accelerate.framework/Accelerate'] },
];

function single(library: CpuDescription['library'], files: readonly string[]): BlasCandidate[] {
  return files.map((file) => ({ library, paths: [file] }));
}

function openBlasFiles(surroundings: Surroundings): string[] {
  const isMac = surroundings.platform === 'darwin';
  const system = isMac
    ? [
        '/opt/homebrew/opt/openblas/lib/libopenblas.dylib',
        '/usr/local/opt/openblas/lib/libopenblas.dylib',
      ]
    : [
        'libopenblas.so.0',
        'libopenblas.so',
        '/home/linuxbrew/.linuxbrew/opt/openblas/lib/libopenblas.so',
      ];
  const extension = isMac ? 'dylib' : 'so';
  // A name with 64_ has 64-bit integers.
  const pattern = new RegExp(`^lib(scipy_)?openblas(?!64_).*\\.${extension}`);
  return [
    ...system,
    ...inFolders([...condaFolders(surroundings), ...wheelFolders(surroundings)], pattern),
  ];
}

function condaFolders({ environment }: Surroundings): string[] {
  return environment.CONDA_PREFIX ? [join(environment.CONDA_PREFIX, 'lib')] : [];
}

/** numpy and scipy wheels carry an OpenBLAS beside their package folder. */
function wheelFolders({ environment }: Surroundings): string[] {
  const prefixes = [
    environment.VIRTUAL_ENV,
    environment.CONDA_PREFIX,
    environment.HOME && join(environment.HOME, '.local'),
    '/usr/local',
    '/usr',
  ].filter((prefix): prefix is string => Boolean(prefix));
  return prefixes
    .flatMap((prefix) =>
      list(join(prefix, 'lib'))
        .filter((name) => name.startsWith('python3'))
        .map((name) => join(prefix, 'lib', name)),
    )
    .flatMap((python) =>
      ['site-packages', 'dist-packages'].map((packages) => join(python, packages)),
    )
    .flatMap((packages) =>
      ['scipy_openblas32/lib', 'scipy.libs', 'numpy.libs'].map((folder) => join(packages, folder)),
    );
}

function inFolders(folders: readonly string[], pattern: RegExp): string[] {
  return folders.flatMap((folder) =>
    list(folder)
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => join(folder, name)),
  );
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/**
 * The file behind a loaded library, for the description: the candidate's path when it is absolute.
 */
export function resolvedPath({ paths }: BlasCandidate): string {
  const path = at(paths, 0);
  if (dirname(path) !== '.') return path;
  return (
    systemFolders()
      .map((folder) => join(folder, path))
      .find((file) => existsSync(file)) ?? path
  );
}

function systemFolders(): string[] {
  const multiarch =
    { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as string] ?? '';
  return [
    ...(process.env.LD_LIBRARY_PATH?.split(':') ?? []),
    `/usr/lib/${multiarch}`,
    '/usr/lib64',
    '/usr/lib',
    '/usr/local/lib',
  ];
}
