import { at } from '@emloc/checked';
import { DeviceError } from '@emloc/device';
import koffi from 'koffi';

/** CBLAS enumerations (cblas.h). */
export const cblas = Object.freeze({
  rowMajor: 101,
  noTranspose: 111,
  transpose: 112,
  upper: 121,
  lower: 122,
  nonUnit: 131,
  right: 142,
});

type CblasGemm = (
  order: number,
  transA: number,
  transB: number,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: Float32Array | Float64Array,
  lda: number,
  b: Float32Array | Float64Array,
  ldb: number,
  beta: number,
  c: Float32Array | Float64Array,
  ldc: number,
) => void;
type CblasSyrk = (
  order: number,
  uplo: number,
  trans: number,
  n: number,
  k: number,
  alpha: number,
  a: Float64Array,
  lda: number,
  beta: number,
  c: Float64Array,
  ldc: number,
) => void;
type CblasTrsm = (
  order: number,
  side: number,
  uplo: number,
  trans: number,
  diag: number,
  m: number,
  n: number,
  alpha: number,
  a: Float64Array,
  lda: number,
  b: Float64Array,
  ldb: number,
) => void;

/**
 * BLAS and LAPACK of one loaded library, 32-bit integers. The promises run on a worker thread of
 * libuv; their arrays must stay alive.
 */
export interface BlasFunctions {
  readonly sgemm: CblasGemm;
  readonly dgemm: CblasGemm;
  readonly dsyrk: CblasSyrk;
  readonly dtrsm: CblasTrsm;
  /**
   * All eigenvalues and vectors, upper triangle in Fortran's column order. Resolves to LAPACK's
   * info.
   */
  dsyevd(
    n: number,
    a: Float64Array,
    w: Float64Array,
    work: Float64Array,
    iwork: Int32Array,
  ): Promise<number>;
  /** Upper triangle in Fortran's column order. Resolves to LAPACK's info. */
  dpotrf(n: number, a: Float64Array): Promise<number>;
}

/**
 * The library's own way to say what it is and to set its thread count. Absent functions are null.
 */
export interface BlasControls {
  readonly getConfig: (() => string) | null;
  readonly setThreads: ((threads: number) => void) | null;
  readonly getThreads: (() => number) | null;
}

export interface NativeBlas {
  readonly functions: BlasFunctions;
  readonly controls: BlasControls;
}

type NativeFunction = ReturnType<ReturnType<typeof koffi.load>['func']>;
type Find = (name: string, result: string, parameters: readonly string[]) => NativeFunction | null;

const parameterTypes = {
  i: 'int',
  f: 'float',
  d: 'double',
  p: 'void *',
  n: 'int *',
  c: 'const char *',
  l: 'size_t',
} as const;

/** A letter a parameter: those of C declarations. */
function parameters(letters: string): readonly string[] {
  return Array.from(letters, (letter) => parameterTypes[letter as keyof typeof parameterTypes]);
}

/**
 * Fortran passes by address; the trailing lengths of its character arguments are part of the
 * calling convention.
 */
const fortran = { syevd: parameters('ccnpnppnpnpll'), potrf: parameters('cnpnpl') };

/**
 * Loads the libraries (BLAS first; LAPACK may be another file) and binds what this package calls.
 * @throws DeviceError DEVICE_UNAVAILABLE when a file does not load or lacks a function
 */
export function loadBlas(paths: readonly string[]): NativeBlas {
  const libraries = paths.map(load);
  // scipy's OpenBLAS wheels put a prefix before every name.
  const find: Find = (name, result, parameters) => {
    for (const library of libraries) {
      for (const prefix of ['', 'scipy_']) {
        try {
          return library.func(`${prefix}${name}`, result, [...parameters]);
        } catch {
          continue;
        }
      }
    }
    return null;
  };
  return { functions: bindFunctions(find, paths), controls: bindControls(find) };
}

function load(path: string) {
  try {
    return koffi.load(path);
  } catch (cause) {
    throw new DeviceError('DEVICE_UNAVAILABLE', `cpu device: ${path} does not load`, { cause });
  }
}

function bindFunctions(find: Find, paths: readonly string[]): BlasFunctions {
  const need: (...declaration: Parameters<Find>) => NativeFunction = (name, result, parameters) => {
    const found = find(name, result, parameters);
    if (found) return found;
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      `cpu device: ${paths.join(', ')} has no ${name} with 32-bit integers`,
    );
  };
  const syevd = need('dsyevd_', 'void', fortran.syevd);
  const potrf = need('dpotrf_', 'void', fortran.potrf);
  return {
    sgemm: need('cblas_sgemm', 'void', parameters('iiiiiifpipifpi')),
    dgemm: need('cblas_dgemm', 'void', parameters('iiiiiidpipidpi')),
    dsyrk: need('cblas_dsyrk', 'void', parameters('iiiiidpidpi')),
    dtrsm: need('cblas_dtrsm', 'void', parameters('iiiiiiidpipi')),
    dsyevd: async (n, a, w, work, iwork) => {
      const info = new Int32Array(1);
      await onWorker(syevd, [
        'V',
        'U',
        [n],
        a,
        [n],
        w,
        work,
        [work.length],
        iwork,
        [iwork.length],
        info,
        1,
        1,
      ]);
      return at(info, 0);
    },
    dpotrf: async (n, a) => {
      const info = new Int32Array(1);
      await onWorker(potrf, ['U', [n], a, [n], info, 1]);
      return at(info, 0);
    },
  };
}

function bindControls(find: Find): BlasControls {
  return {
    getConfig: find('openblas_get_config', 'const char *', []) ?? bliVersion(find),
    setThreads:
      find('openblas_set_num_threads', 'void', ['int']) ??
      find('MKL_Set_Num_Threads', 'void', ['int']) ??
      find('bli_thread_set_num_threads', 'void', ['int64_t']),
    getThreads:
      find('openblas_get_num_threads', 'int', []) ??
      find('MKL_Get_Max_Threads', 'int', []) ??
      find('bli_thread_get_num_threads', 'int64_t', []),
  };
}

function bliVersion(find: Find): (() => string) | null {
  return find('bli_info_get_version_str', 'const char *', []) ?? mklVersion(find);
}

function mklVersion(find: Find): (() => string) | null {
  const get = find('MKL_Get_Version_String', 'void', ['void *', 'int']);
  if (!get) return null;
  return () => {
    const text = Buffer.alloc(256);
    get(text, text.length);
    return at(text.toString('latin1').split('\0'), 0);
  };
}

function onWorker(native: NativeFunction, values: unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    native.async(...values, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}
