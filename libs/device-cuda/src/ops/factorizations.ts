import { DeviceError, type CholeskyOptions, type EighOptions, type Tensor } from '@emloc/device';

import { addressOf, expectDType, expectShape, roundUp, type CudaContext } from '../context.js';
import {
  CUBLAS_FILL_MODE_LOWER,
  CUBLAS_FILL_MODE_UPPER,
  CUSOLVER_EIG_MODE_VECTOR,
} from '../native/cusolver.js';
import { Cell } from '../native/status.js';

const infoBytes = 512;
const threads = 256;
const statisticsDTypes = ['float32', 'float64'] as const;

/**
 * Above what cuSOLVER 12.0 (CUDA 13.0) asks for, so that a plan never falls short: at most 4 n² +
 * 768 n + 2^16 elements for n from 16 to 8192 (51,868,355 for 3584).
 */
export function eighScratchBytes({ a }: EighOptions): number {
  const n = a.dim(0);
  return infoBytes + roundUp((4 * n * n + 1024 * n + 2 ** 17) * (a.dtype === 'float64' ? 8 : 4));
}

/** 64 elements for every n in cuSOLVER 12.0; a panel of columns leaves room for others. */
export function choleskyScratchBytes({ a }: CholeskyOptions): number {
  const n = a.dim(0);
  return infoBytes + roundUp((256 * n + 2 ** 16) * (a.dtype === 'float64' ? 8 : 4));
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
      .launch('elementwise', `upper_triangle_${a.dtype}`, {
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

/**
 * Launches with scratch memory, whose first word is cuSOLVER's `info`, and resolves to that word.
 */
async function factorize(
  context: CudaContext,
  bytes: number,
  launch: (scratch: number, bytes: number) => void,
): Promise<number> {
  const memory = context.pool.allocate(bytes);
  try {
    const scratch = context.pool.addressOf(memory);
    launch(scratch, bytes - infoBytes);
    context.streams.advance('compute');
    return await context.transfers.readInt32(memory);
  } finally {
    context.pool.free(memory);
  }
}

function square(operation: string, a: Tensor): number {
  const n = a.dim(0);
  expectShape(operation, a, [n, n]);
  return n;
}

function letterOf(operation: string, a: Tensor, ...others: readonly Tensor[]): 'S' | 'D' {
  return expectDType(operation, statisticsDTypes, a, ...others) === 'float32' ? 'S' : 'D';
}

function expectRoom(operation: string, n: number, elements: number, a: Tensor, room: number): void {
  const bytes = elements * (a.dtype === 'float64' ? 8 : 4);
  if (bytes <= room) return;
  throw new DeviceError(
    'DEVICE_NATIVE_FAILURE',
    `cusolver: ${operation} of ${n} x ${n} asks for ${bytes} bytes of workspace, planned were ${room}`,
  );
}
