import koffi from 'koffi';

import type { KernelCompiler } from '../compiler.js';
import { Launcher } from '../launcher.js';
import type { Streams } from '../streams.js';
import { viewMemory, type Driver } from './driver.js';

/** What a launch gave the driver: addresses of the `kernelParams` and of the `extra` list. */
interface Launch {
  readonly list: number;
  readonly extra: number;
}

const mapped = { address: 512, rows: 4, columns: 128, tileRows: 64, tileColumns: 64 };

/** A launcher on host memory, and the launches that it makes. */
function launcherOnHost() {
  const launches: Launch[] = [];
  const driver = {
    cuMemHostAlloc: (cell: BigUint64Array, bytes: number) => {
      cell[0] = BigInt(koffi.address(koffi.alloc('uint8_t', bytes)));
    },
    cuModuleLoadData: () => undefined,
    cuModuleGetFunction: () => undefined,
    cuTensorMapEncodeTiled: () => undefined,
    cuLaunchKernel: (...args: readonly number[]) => {
      launches.push({ list: Number(args[9]), extra: Number(args[10]) });
    },
  };
  const launcher = new Launcher(
    driver as unknown as Driver,
    { compile: () => new Uint8Array() } as unknown as KernelCompiler,
    {
      launchHandleOf: () => 0,
      advance: () => undefined,
      interruptRecording: () => undefined,
    } as unknown as Streams,
  );
  return { launcher, launches };
}

function words(address: number, count: number): readonly number[] {
  return [...new BigUint64Array(viewMemory(address, count * 8))].map(Number);
}

it('packs parameters into one buffer of which it tells the size', () => {
  const { launcher, launches } = launcherOnHost();
  launcher.begin().int32(1).pointer(2).int32(3);
  launcher.launch('file', 'name', { grid: [1], block: 32 });
  const [launch] = launches;
  expect(launch?.list).toBe(0);
  const [, buffer = 0, , size = 0] = words(launch?.extra ?? 0, 4);
  expect(words(size, 1)).toEqual([20]);
  expect(words(buffer + 8, 1)).toEqual([2]);
});

it('lists the address of every parameter where some are tensor maps', () => {
  const { launcher, launches } = launcherOnHost();
  launcher.begin().tensorMap(mapped).tensorMap(mapped).pointer(7).int32(8).pointer(9);
  launcher.launch('file', 'name', { grid: [1], block: 32 });
  const [launch] = launches;
  expect(launch?.extra).toBe(0);
  const addresses = words(launch?.list ?? 0, 5);
  const [first = 1] = addresses;
  expect(addresses.map((address) => address - first)).toEqual([0, 128, 256, 264, 272]);
  expect(words(first + 256, 1)).toEqual([7]);
});

it('forgets tensor maps with the launch that had them', () => {
  const { launcher, launches } = launcherOnHost();
  launcher
    .begin()
    .tensorMap(mapped)
    .launch('file', 'name', { grid: [0], block: 32 });
  launcher
    .begin()
    .int32(1)
    .launch('file', 'name', { grid: [1], block: 32 });
  expect(launches.map(({ list }) => list)).toEqual([0]);
});
