import { DeviceError, type EighOptions } from '@emloc/device';

import { addressOf, expectShape, roundUp, type CudaContext } from '../context.js';
import { expectRoom, factorize, infoBytes, letterOf, square } from '../factorize.js';
import { CUBLAS_FILL_MODE_LOWER } from '../native/cublas.js';
import { CUSOLVER_EIG_MODE_VECTOR } from '../native/cusolver.js';
import { Cell } from '../native/status.js';

/**
 * Above what cuSOLVER 12.0 (CUDA 13.0) asks for, so that a plan never falls short: at most 4 n² +
 * 768 n + 2^16 elements for n from 16 to 8192 (51,868,355 for 3584).
 */
export function eighScratchBytes({ a }: EighOptions): number {
  const n = a.dim(0);
  return infoBytes + roundUp((4 * n * n + 1024 * n + 2 ** 17) * (a.dtype === 'float64' ? 8 : 4));
}

/**
 * cuSOLVER's divide and conquer. Column-major eigenvectors in columns are row-major ones in rows.
 */
export async function eigh(context: CudaContext, options: EighOptions): Promise<void> {
  const { a, values } = options;
  const n = square('eigh', a);
  expectShape('eigh', values, [n]);
  const letter = letterOf('eigh', a, values);
  if (n === 0) return;
  const { calls, handle } = context.cusolver;
  const info = await factorize(context, eighScratchBytes(options), (scratch, scratchBytes) => {
    const [matrix, eigenvalues] = [addressOf(context, a), addressOf(context, values)];
    const elements = new Cell();
    calls[`cusolverDn${letter}syevd_bufferSize`](
      handle,
      CUSOLVER_EIG_MODE_VECTOR,
      CUBLAS_FILL_MODE_LOWER,
      n,
      matrix,
      n,
      eigenvalues,
      elements.raw,
    );
    expectRoom('eigh', n, elements.int32, a, scratchBytes);
    calls[`cusolverDn${letter}syevd`](
      handle,
      CUSOLVER_EIG_MODE_VECTOR,
      CUBLAS_FILL_MODE_LOWER,
      n,
      matrix,
      n,
      eigenvalues,
      scratch + infoBytes,
      elements.int32,
      scratch,
    );
  });
  if (info !== 0)
    throw new DeviceError(
      'DEVICE_NATIVE_FAILURE',
      `cusolver: eigenproblem of ${a.label} (${n} x ${n}) failed with info ${info}`,
    );
}
