import { DeviceError, type CholeskyOptions } from '@emloc/device';

import { addressOf, roundUp, type CudaContext } from '../context.js';
import { expectRoom, factorize, infoBytes, letterOf, square } from '../factorize.js';
import { CUBLAS_FILL_MODE_UPPER } from '../native/cublas.js';
import { Cell } from '../native/status.js';

const threads = 256;

/** 64 elements for every n in cuSOLVER 12.0; a panel of columns leaves room for others. */
export function choleskyScratchBytes({ a }: CholeskyOptions): number {
  const n = a.dim(0);
  return infoBytes + roundUp((256 * n + 2 ** 16) * (a.dtype === 'float64' ? 8 : 4));
}

/** Row-major lower is column-major upper. */
export async function cholesky(context: CudaContext, options: CholeskyOptions): Promise<boolean> {
  const { a } = options;
  const n = square('cholesky', a);
  const letter = letterOf('cholesky', a);
  if (n === 0) return true;
  const { calls, handle } = context.cusolver;
  const info = await factorize(context, choleskyScratchBytes(options), (scratch, scratchBytes) => {
    const matrix = addressOf(context, a);
    const elements = new Cell();
    calls[`cusolverDn${letter}potrf_bufferSize`](
      handle,
      CUBLAS_FILL_MODE_UPPER,
      n,
      matrix,
      n,
      elements.raw,
    );
    expectRoom('cholesky', n, elements.int32, a, scratchBytes);
    calls[`cusolverDn${letter}potrf`](
      handle,
      CUBLAS_FILL_MODE_UPPER,
      n,
      matrix,
      n,
      scratch + infoBytes,
      elements.int32,
      scratch,
    );
    context.launcher
      .begin()
      .pointer(matrix)
      .pointer(n)
      .int32(0)
      .launch('cholesky', `upper_triangle_${a.dtype}`, {
        grid: [Math.ceil((n * n) / threads)],
        block: threads,
      });
  });
  if (info < 0)
    throw new DeviceError(
      'DEVICE_NATIVE_FAILURE',
      `cusolver: Cholesky factorisation of ${a.label} failed with info ${info}`,
    );
  return info === 0;
}
