import { at } from '@emloc/checked';
import { DeviceError } from '@emloc/device';

/** CUDA_ERROR_OUT_OF_MEMORY of the driver, the only status with a code of its own. */
const outOfMemory = 2;

/**
 * @throws DeviceError when `status` is not 0, naming the library, the function and what the library
 * calls the status.
 */
function checkStatus(
  status: number,
  library: string,
  call: string,
  describe: (status: number) => string,
): void {
  if (status === 0) return;
  const isOutOfMemory = library === 'cuda' && status === outOfMemory;
  throw new DeviceError(
    isOutOfMemory ? 'DEVICE_OUT_OF_MEMORY' : 'DEVICE_NATIVE_FAILURE',
    `${library}: ${call} failed with ${describe(status)}`,
  );
}

/** Functions that throw a DeviceError for a status other than success. */
export type CheckedCalls<K extends string> = Readonly<
  Record<K, (...args: readonly unknown[]) => void>
>;

/** Wraps functions that return a status. */
export function checkAll<K extends string>(
  library: string,
  functions: Readonly<Record<K, (...args: readonly unknown[]) => number>>,
  describe: (status: number) => string,
): CheckedCalls<K> {
  const wrapped = (Object.keys(functions) as K[]).map((name) => {
    const call = functions[name];
    return [
      name,
      (...args: readonly unknown[]) => checkStatus(call(...args), library, name, describe),
    ];
  });
  return Object.fromEntries(wrapped) as CheckedCalls<K>;
}

/**
 * An eight-byte cell for output parameters; handles and addresses are read as numbers below 2^53.
 */
export class Cell {
  readonly raw = new BigUint64Array(1);

  get value(): number {
    return Number(this.raw[0]);
  }

  get int32(): number {
    return Number(BigInt.asIntN(32, at(this.raw, 0)));
  }
}
