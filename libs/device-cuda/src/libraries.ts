import { DeviceError } from '@emloc/device';

import {
  findLibrary,
  libraryFileName,
  libraryFolders,
  toolkitLibraryNames,
  type CudaMajor,
  type ToolkitLibraryName,
} from './finder.js';
import { loadCublasLt, type CublasLt } from './native/cublas-lt.js';
import { loadCublas, preload, type Cublas } from './native/cublas.js';
import { loadCusolver, type Cusolver } from './native/cusolver.js';
import { loadDriver, type Driver } from './native/driver.js';
import { loadLibc, type Libc } from './native/libc.js';
import { loadNvml, type Nvml } from './native/nvml.js';
import { loadNvrtc, type Nvrtc } from './native/nvrtc.js';
import { Cell } from './native/status.js';

const driverFile = 'libcuda.so.1';
const nvmlFile = 'libnvidia-ml.so.1';
/** The oldest driver that runs CUDA 12 programs, as cuDriverGetVersion counts. */
const minimumDriverVersion = 12_000;

/** What `describeCuda` says about one library. */
export interface LibraryReport {
  readonly name: string;
  /** null: not found, or not loadable. */
  readonly path: string | null;
  readonly version: string | null;
  readonly problem: string | null;
}

/** Every native library, loaded and of one CUDA major version. */
export interface CudaLibraries {
  readonly driver: Driver;
  readonly cublas: Cublas;
  readonly cublasLt: CublasLt;
  readonly cusolver: Cusolver;
  readonly nvrtc: Nvrtc;
  readonly libc: Libc;
  /** null where the management library is missing: nothing but a measurement is lost. */
  readonly nvml: Nvml | null;
  readonly driverVersion: string;
  readonly nvrtcVersion: string;
  readonly major: CudaMajor;
}

/** The driver, or why it cannot be had. */
export function openDriver(folders = libraryFolders()): {
  readonly report: LibraryReport;
  readonly driver: Driver | null;
  readonly version: number;
} {
  const path = findLibrary(driverFile, folders);
  const failed = (problem: string) => ({
    report: { name: driverFile, path, version: null, problem },
    driver: null,
    version: 0,
  });
  if (!path)
    return failed(
      'not found: the NVIDIA driver is not installed, or not passed into this container',
    );
  try {
    const driver = loadDriver(path);
    const cell = new Cell();
    driver.cuInit(0);
    driver.cuDriverGetVersion(cell.raw);
    const problem =
      cell.int32 < minimumDriverVersion
        ? `too old: CUDA ${formatVersion(cell.int32)}, need 12.0`
        : null;
    return {
      report: { name: driverFile, path, version: formatVersion(cell.int32), problem },
      driver: problem ? null : driver,
      version: cell.int32,
    };
  } catch (error) {
    return failed((error as Error).message);
  }
}

/**
 * Where each toolkit library is, for the newest CUDA that the driver runs and that is complete,
 * else the most complete one.
 */
export function findToolkit(
  driverVersion: number,
  folders = libraryFolders(),
): { readonly major: CudaMajor; readonly reports: readonly LibraryReport[] } {
  const majors = ([13, 12] as const).filter(
    (major) => driverVersion === 0 || major * 1000 <= driverVersion,
  );
  const found = majors.map((major) => ({
    major,
    reports: toolkitLibraryNames.map((name) => reportOf(name, major, folders)),
  }));
  const missing = (reports: readonly LibraryReport[]) =>
    reports.filter(({ problem }) => problem).length;
  const best = found.reduce((one, other) =>
    missing(other.reports) < missing(one.reports) ? other : one,
  );
  return best;
}

function reportOf(
  name: ToolkitLibraryName,
  major: CudaMajor,
  folders: readonly string[],
): LibraryReport {
  const file = libraryFileName(name, major);
  const path = findLibrary(file, folders);
  const problem = path
    ? null
    : `not found: part of the CUDA ${major} toolkit (EMLOC_CUDA_PATH names the folder that holds it)`;
  return { name: file, path, version: path ? `CUDA ${major}` : null, problem };
}

/**
 * @throws DeviceError DEVICE_UNAVAILABLE naming the library that is missing, too old or not
 * loadable.
 */
export function loadLibraries(): CudaLibraries {
  const folders = libraryFolders();
  const { driver, report, version } = openDriver(folders);
  if (!driver) throw unavailable(report);
  const { major, reports } = findToolkit(version, folders);
  const broken = reports.find(({ problem }) => problem);
  if (broken) throw unavailable(broken);
  const load = <T>(name: ToolkitLibraryName, loader: (path: string) => T): T =>
    loadOne(reports, libraryFileName(name, major), loader);
  // Dependencies first: a library finds what it needs among those already loaded, in whatever
  // folders they are.
  load('nvJitLink', preload);
  const cublasLt = load('cublasLt', loadCublasLt);
  const cublas = load('cublas', loadCublas);
  load('cusparse', preload);
  const nvrtc = load('nvrtc', loadNvrtc);
  return {
    driver,
    cublas,
    cublasLt,
    nvrtc,
    cusolver: load('cusolver', loadCusolver),
    nvml: openNvml(folders),
    libc: loadLibc(),
    driverVersion: formatVersion(version),
    nvrtcVersion: versionOf(nvrtc),
    major,
  };
}

function loadOne<T>(
  reports: readonly LibraryReport[],
  file: string,
  loader: (path: string) => T,
): T {
  const report = reports.find(({ name }) => name === file);
  try {
    return loader(report?.path ?? file);
  } catch (error) {
    throw unavailable(
      { name: file, path: report?.path ?? null, version: null, problem: (error as Error).message },
      error,
    );
  }
}

/** NVML, or null where it cannot be had. */
export function openNvml(folders = libraryFolders()): Nvml | null {
  const path = findLibrary(nvmlFile, folders);
  if (!path) return null;
  try {
    const nvml = loadNvml(path);
    nvml.nvmlInit();
    return nvml;
  } catch {
    return null; // A measurement less; containers often leave this library out.
  }
}

function versionOf(nvrtc: Nvrtc): string {
  const [major, minor] = [new Cell(), new Cell()];
  nvrtc.nvrtcVersion(major.raw, minor.raw);
  return `${major.int32}.${minor.int32}`;
}

/** 13000 → '13.0', 12080 → '12.8'. */
function formatVersion(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

function unavailable({ name, path, problem }: LibraryReport, cause?: unknown): DeviceError {
  return new DeviceError(
    'DEVICE_UNAVAILABLE',
    `cuda: ${name}${path ? ` (${path})` : ''} ${problem}`,
    { cause },
  );
}
