import { DeviceError, type Tensor } from '@emloc/device';

import { expectDType, expectShape, type CudaContext } from './context.js';

/** The first of the scratch memory: what cuSOLVER has to say. */
export const infoBytes = 512;
const statisticsDTypes = ['float32', 'float64'] as const;

/**
 * Launches with scratch memory, whose first word is cuSOLVER's `info`, and resolves to that word.
 */
export async function factorize(
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

export function square(operation: string, a: Tensor): number {
  const n = a.dim(0);
  expectShape(operation, a, [n, n]);
  return n;
}

export function letterOf(operation: string, a: Tensor, ...others: readonly Tensor[]): 'S' | 'D' {
  return expectDType(operation, statisticsDTypes, a, ...others) === 'float32' ? 'S' : 'D';
}

export function expectRoom(
  operation: string,
  n: number,
  elements: number,
  a: Tensor,
  room: number,
): void {
  const bytes = elements * (a.dtype === 'float64' ? 8 : 4);
  if (bytes <= room) return;
  throw new DeviceError(
    'DEVICE_NATIVE_FAILURE',
    `cusolver: ${operation} of ${n} x ${n} asks for ${bytes} bytes of workspace, planned were ${room}`,
  );
}
