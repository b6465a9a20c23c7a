import { at } from '@emloc/checked';
import { DeviceError } from '@emloc/device';

import {
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
  type Driver,
} from './native/driver.js';
import type { Nvml } from './native/nvml.js';
import { Cell } from './native/status.js';

/** bfloat16 on tensor cores and cp.async start here. */
const minimumCapability = 80;

/**
 * Whether float64 has half the rate of float32 or more: cards of data centers (CUDA C++ Programming
 * Guide, throughput of native arithmetic instructions).
 */
export function hasFastFloat64({
  computeCapability,
}: Pick<CudaCard, 'computeCapability'>): boolean {
  return [80, 90, 100].includes(computeCapability);
}

/**
 * Operations of a multiprocessor's tensor cores in a cycle, bfloat16 to float32 and dense, by
 * compute capability: those of cards of data centers; others have 512, some of them 1,024 (NVIDIA's
 * data sheets: TFLOP/s over multiprocessors and boost clock).
 */
const tensorOperations: Readonly<Record<number, number>> = { 80: 2048, 90: 4096, 100: 8192 };
const usualTensorOperations = 512;

/** Cycles that a launch takes the host, as far as tensor cores could be busy: 8 µs. */
const launchCycles = 14_800;

/** What a card computes while the host launches a kernel: 8e9 operations on an H200. */
export function launchOperationsOf({
  computeCapability,
  multiprocessors,
}: Pick<CudaCard, 'computeCapability' | 'multiprocessors'>): number {
  const operations = tensorOperations[computeCapability] ?? usualTensorOperations;
  return launchCycles * operations * multiprocessors;
}

/** One GPU as the driver describes it. */
export interface CudaCard {
  readonly ordinal: number;
  readonly name: string;
  /**
   * The same for all processes and containers, such as `GPU-8f0f3ecd-...`; of a MIG instance, its
   * own.
   */
  readonly uuid: string;
  /** 90 for compute capability 9.0. */
  readonly computeCapability: number;
  readonly multiprocessors: number;
  readonly totalBytes: number;
}

/** The driver's GPUs, in its order (CUDA_VISIBLE_DEVICES applies). */
export function listCards(driver: Driver): readonly CudaCard[] {
  const count = new Cell();
  driver.cuDeviceGetCount(count.raw);
  return Array.from({ length: count.int32 }, (_, ordinal) => describeCard(driver, ordinal));
}

/**
 * @throws DeviceError DEVICE_UNAVAILABLE when there is no such card, DEVICE_UNSUPPORTED when it is
 * too old.
 */
export function findCard(driver: Driver, ordinal: number): CudaCard {
  const cards = listCards(driver);
  const card = cards[ordinal];
  if (!card)
    throw new DeviceError(
      'DEVICE_UNAVAILABLE',
      `cuda: no card ${ordinal}, libcuda.so.1 sees ${cards.length}`,
    );
  if (card.computeCapability < minimumCapability) {
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cuda: ${card.name} has compute capability ${card.computeCapability / 10}, need 8.0`,
    );
  }
  return card;
}

/** Bytes in use on a card by everybody, without a context on it; null where NVML does not say. */
export function usedBytesByNvml(driver: Driver, nvml: Nvml | null, ordinal: number): number | null {
  if (!nvml) return null;
  try {
    const busId = Buffer.alloc(64);
    driver.cuDeviceGetPCIBusId(busId, busId.length, deviceOf(driver, ordinal));
    const device = new Cell();
    nvml.nvmlDeviceGetHandleByPciBusId(busId.toString('ascii').replace(/\0.*$/s, ''), device.raw);
    const [total, free, used] = [0, 1, 2];
    const memory = new BigUint64Array(3);
    nvml.nvmlDeviceGetMemoryInfo(device.value, memory);
    return Number(at(memory, total) - at(memory, free)) || Number(memory[used]);
  } catch {
    return null; // Some container runtimes hide the card from NVML.
  }
}

/** The driver's handle of a card. */
export function deviceOf(driver: Driver, ordinal: number): number {
  const device = new Cell();
  driver.cuDeviceGet(device.raw, ordinal);
  return device.int32;
}

function describeCard(driver: Driver, ordinal: number): CudaCard {
  const device = deviceOf(driver, ordinal);
  const attribute = (code: number): number => {
    const value = new Cell();
    driver.cuDeviceGetAttribute(value.raw, code, device);
    return value.int32;
  };
  const name = Buffer.alloc(128);
  driver.cuDeviceGetName(name, name.length, device);
  const total = new Cell();
  driver.cuDeviceTotalMem(total.raw, device);
  return {
    ordinal,
    name: name.toString('utf8').replace(/\0.*$/s, ''),
    uuid: uuidOf(driver, device),
    computeCapability:
      attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) * 10 +
      attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
    multiprocessors: attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
    totalBytes: total.value,
  };
}

function uuidOf(driver: Driver, device: number): string {
  const uuid = Buffer.alloc(16);
  driver.cuDeviceGetUuid(uuid, device);
  return `GPU-${uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
}
