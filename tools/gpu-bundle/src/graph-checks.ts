import { repeatsOn, type Device, type HostValues, type Tensor } from '@emloc/device';
import type { CudaBackend } from '@emloc/device-cuda';

const side = 64;
const adds = 2000;

interface Card {
  readonly device: Device;
  readonly backend: CudaBackend;
}

/**
 * Work that is launched as a graph gives what it gives one by one: with other inputs, after memory
 * was moved, with a copy in its middle, and with the copy stream behind it. Closes the device.
 */
export async function checkGraphs({ device, backend }: Card): Promise<readonly string[]> {
  const used = backend.measureMemory().usedBytes;
  const weight = filled(device, 1);
  const repeats = repeatsOn(device);
  const run = async (value: number, middle?: () => void): Promise<void> => {
    const x = filled(device, value);
    const { values } = await repeats.run({
      signature: middle ? 'with a copy' : 'launches',
      inputs: [x],
      launch: () => Promise.resolve([product(device, { x, weight, middle })]),
      skip: () => true,
      read: ([out]) => ({ values: device.download(out as Tensor) }),
    });
    x.dispose();
    overwrite(device);
    expectAll(await values, side * value * (1 + adds));
  };
  for (const value of [1, 2, 3, 4, 5]) await run(value);
  expectUse(backend, { recorded: 1, launched: 4 });
  const bytes = backend.measureMemory().usedBytes - used;
  const blocker = device.allocate([side], 'float32', 'activations', 'blocker');
  for (const value of [6, 7, 8]) await run(value);
  expectUse(backend, { recorded: 2, launched: 6 });
  blocker.dispose();
  for (const value of [1, 2, 3]) await run(value, () => filled(device, 9).dispose());
  expectUse(backend, { recorded: 2, launched: 6 });
  repeats[Symbol.dispose]();
  weight.dispose();
  await device.close();
  return [
    `graphs of ${adds + 2} launches give what the launches give; ${bytes} bytes on the card with the first`,
  ];
}

/** (1 + adds) · x · weight, with memory of its own. */
function product(
  device: Device,
  { x, weight, middle }: { x: Tensor; weight: Tensor; middle: (() => void) | undefined },
): Tensor {
  const out = device.allocate([side, side], 'float32', 'activations', 'out');
  using term = device.allocate([side, side], 'float32', 'activations', 'term');
  device.kernels.gemm({ a: x, b: weight, out: term });
  device.kernels.cast({ x: term, out });
  for (let index = 0; index < adds; index += 1) {
    if (index === adds / 2) middle?.();
    device.kernels.add({ x: term, out });
  }
  return out;
}

/** Gives the copy stream memory that the work before has just used. */
function overwrite(device: Device): void {
  for (let index = 0; index < 3; index += 1) {
    const tensor = device.allocate([side, side], 'float32', 'weights', 'next');
    const bytes = new Uint8Array(new Float32Array(side * side).fill(77).buffer);
    device.upload(tensor, { bytes, dtype: 'float32' }, 'copy');
    tensor.dispose();
  }
}

function filled(device: Device, value: number): Tensor {
  const bytes = new Uint8Array(new Float32Array(side * side).fill(value).buffer);
  const source = { bytes, dtype: 'float32' } as const;
  return device.tensor(source, [side, side], 'float32', 'activations', `${value}s`);
}

function expectAll(values: HostValues, expected: number): void {
  const wrong = values.findIndex((value) => value !== expected);
  if (wrong >= 0) throw new Error(`graphs: value ${wrong} is ${values[wrong]}, not ${expected}`);
}

function expectUse({ graphUse }: CudaBackend, expected: CudaBackend['graphUse']): void {
  const [found, wanted] = [graphUse, expected].map((use) => JSON.stringify(use));
  if (found !== wanted) throw new Error(`graphs: ${found}, expected ${wanted}`);
}
