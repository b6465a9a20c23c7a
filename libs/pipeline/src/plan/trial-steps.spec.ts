import { Device, MemoryBudget, type Backend, type DeviceRates } from '@emloc/device';
import { createCpuBackend } from '@emloc/device-cpu';

import { openWorkspace, type Workspace } from '../../test/fixtures.js';
import { prepareJob } from '../job/prepare-job.js';
import { withTrialSteps } from './trial-steps.js';

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

function ratesOf(secondsPerFlop: number): DeviceRates {
  const slow = { secondsPerFlop, secondsPerByte: 0, secondsPerCall: 0, secondsPerFloat64Flop: 1 };
  return {
    kernels: { gemm: slow },
    otherwise: { secondsPerFlop: 0, secondsPerByte: 0, secondsPerCall: 0 },
    uploadSecondsPerByte: 1e-10,
    downloadSecondsPerByte: 1e-10,
  };
}

interface Host {
  readonly signal?: AbortSignal;
  now?(): number;
}

async function tried(
  rates: DeviceRates,
  host: Host,
  backend: Backend = createCpuBackend(),
): Promise<DeviceRates> {
  const job = await prepareJob(workspace.options({ steps: 40 }));
  await using device = new Device(backend, new MemoryBudget(2 ** 30));
  try {
    return await withTrialSteps(device, job, { rates, ...host });
  } finally {
    await job.close();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
  }
}

/** A clock by which every step takes so many seconds. */
function steps(seconds: number): Host {
  let time = 0;
  return { now: () => (time += seconds) };
}

/** As what the kernels' costs say, times so much. */
async function shareOf(secondsPerFlop: number, host: Host): Promise<number> {
  const { kernels, otherwise, uploadSecondsPerByte } = await tried(ratesOf(secondsPerFlop), host);
  const share = (kernels.gemm?.secondsPerFlop ?? 0) / secondsPerFlop;
  expect(kernels.gemm?.secondsPerFloat64Flop).toBeCloseTo(share, 6);
  expect([otherwise.secondsPerFlop, uploadSecondsPerByte]).toEqual([0, 1e-10]);
  return share;
}

it('scales what kernels cost by what steps take over what their kernels should', async () => {
  const share = await shareOf(1e-10, steps(0.06));
  expect(share).toBeGreaterThan(1 / 3);
  expect(share).toBeLessThan(1.5);
  expect(await shareOf(1e-10, steps(0.12))).toBeCloseTo(2 * share, 4);
  expect((await shareOf(2e-10, steps(0.12))) / share).toBeCloseTo(1, 4);
});

it('believes no share beyond three, or a third', async () => {
  expect(await shareOf(1e-10, steps(10))).toBeCloseTo(3, 6);
  expect(await shareOf(1e-10, steps(1e-5))).toBeCloseTo(1 / 3, 6);
});

it.each<[string, (backend: Backend) => Backend, number]>([
  ['steps that are long', (backend) => backend, 1],
  [
    'a device that goes on beside the program',
    (backend) =>
      new Proxy(backend, {
        get: (target, key) => {
          if (key === 'profile') return { ...target.profile, overlapsCopies: true };
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
    1e-10,
  ],
])('leaves rates as they are for %s', async (_, wrap, secondsPerFlop) => {
  const rates = ratesOf(secondsPerFlop);
  expect(await tried(rates, {}, wrap(createCpuBackend()))).toBe(rates);
});

it('ends by its caller’s signal', async () => {
  const stop = new AbortController();
  const job = tried(ratesOf(1e-10), { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(job).rejects.toThrow('aborted');
});
