import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Libraries of the CUDA toolkit that the device uses; the driver's own come with the driver. */
export const toolkitLibraryNames = [
  'nvJitLink',
  'cublasLt',
  'cublas',
  'cusparse',
  'cusolver',
  'nvrtc',
] as const;
export type ToolkitLibraryName = (typeof toolkitLibraryNames)[number];
export type CudaMajor = 12 | 13;

/** The number behind `.so.` of each library, by CUDA's major version. */
const soVersions: Readonly<Record<CudaMajor, Readonly<Record<ToolkitLibraryName, number>>>> = {
  12: { nvJitLink: 12, cublasLt: 12, cublas: 12, cusparse: 12, cusolver: 11, nvrtc: 12 },
  13: { nvJitLink: 13, cublasLt: 13, cublas: 13, cusparse: 12, cusolver: 12, nvrtc: 13 },
};

/** A library's file name under Linux, `libcublas.so.13` say. */
export function libraryFileName(name: ToolkitLibraryName, major: CudaMajor): string {
  return `lib${name}.so.${soVersions[major][name]}`;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Folders that may hold CUDA's libraries, in the order in which they are looked into:
 * EMLOC_CUDA_PATH, CUDA_HOME and CUDA_PATH, LD_LIBRARY_PATH, the toolkit's and container images'
 * usual places, the system's, Python environments with NVIDIA's packages.
 */
export function libraryFolders(environment: Environment = process.env): readonly string[] {
  const named = [environment.EMLOC_CUDA_PATH, environment.CUDA_HOME, environment.CUDA_PATH]
    .flatMap(splitPath)
    .flatMap(withLibraryFolders);
  const toolkits = [
    '/usr/local/cuda',
    ...childrenOf('/usr/local', /^cuda-1[23]/),
    '/opt/cuda',
  ].flatMap(withLibraryFolders);
  const system = [
    '/usr/local/nvidia/lib64',
    '/usr/local/nvidia/lib',
    '/usr/lib/wsl/lib',
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/lib/x86_64-linux-gnu',
  ];
  const all = [
    ...named,
    ...splitPath(environment.LD_LIBRARY_PATH),
    ...toolkits,
    ...system,
    ...pythonFolders(environment),
  ];
  return [...new Set(all)].filter((folder) => existsSync(folder));
}

/**
 * The first file of that name in the folders, else where the dynamic loader's cache has it; null
 * when nowhere.
 */
export function findLibrary(fileName: string, folders: readonly string[]): string | null {
  const found = folders.map((folder) => join(folder, fileName)).find((path) => existsSync(path));
  return found ?? loaderCache().get(fileName) ?? null;
}

function splitPath(value: string | undefined): string[] {
  return (value ?? '').split(delimiter).filter((part) => part !== '');
}

/**
 * A toolkit's root stands for its library folders, and for the `nvidia` folder of a Python
 * environment.
 */
function withLibraryFolders(root: string): string[] {
  return [
    root,
    join(root, 'lib64'),
    join(root, 'lib'),
    join(root, 'targets/x86_64-linux/lib'),
    join(root, 'targets/sbsa-linux/lib'),
    ...childrenOf(root, /./)
      .map((child) => join(child, 'lib'))
      .filter((folder) => folder.includes('/nvidia/')),
  ];
}

/**
 * `site-packages/nvidia/NAME/lib`: one folder a library in CUDA 12's packages, `cu13` for all in
 * CUDA 13's.
 */
function pythonFolders(environment: Environment): string[] {
  const prefixes = [
    environment.VIRTUAL_ENV,
    environment.CONDA_PREFIX,
    ...pythonPrefixes(environment),
    '/usr/local',
    '/usr',
    join(homedir(), '.local'),
  ];
  const packages = prefixes
    .filter((prefix) => prefix !== undefined)
    .flatMap((prefix) =>
      ['lib', 'lib64']
        .flatMap((lib) => childrenOf(join(prefix, lib), /^python3/))
        .flatMap((python) => [join(python, 'site-packages'), join(python, 'dist-packages')]),
    );
  return packages
    .flatMap((folder) => childrenOf(join(folder, 'nvidia'), /./))
    .map((folder) => join(folder, 'lib'));
}

/** Prefixes of the python3 programs on PATH, before and after links are followed. */
function pythonPrefixes(environment: Environment): string[] {
  const programs = splitPath(environment.PATH)
    .map((folder) => join(folder, 'python3'))
    .filter((path) => existsSync(path));
  return programs
    .flatMap((program) => [program, realpathSync(program)])
    .map((program) => dirname(dirname(program)));
}

function childrenOf(folder: string, pattern: RegExp): string[] {
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort()
      .reverse()
      .map((name) => join(folder, name));
  } catch {
    return []; // Not a folder, or not ours to read: nothing is found there.
  }
}

let cachedLoaderCache: ReadonlyMap<string, string> | null = null;

function loaderCache(): ReadonlyMap<string, string> {
  cachedLoaderCache ??= parseLoaderCache(readLoaderCache());
  return cachedLoaderCache;
}

function readLoaderCache(): string {
  const program = ['/sbin/ldconfig', '/usr/sbin/ldconfig'].find((path) => existsSync(path));
  if (!program) return '';
  try {
    return execFileSync(program, ['-p'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
  } catch {
    return ''; // Without a cache the folders are all there is.
  }
}

/** `ldconfig -p` as file name → path; of several entries the first, as the loader takes it. */
export function parseLoaderCache(text: string): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s+(\S+) \(([^)]*)\) => (\S+)$/.exec(line);
    if (match?.[1] && match[3] && !entries.has(match[1])) entries.set(match[1], match[3]);
  }
  return entries;
}
