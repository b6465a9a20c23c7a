import koffi from 'koffi';

import { checkAll } from './status.js';

/**
 * NVML, the management library, libnvidia-ml.so.1: what the driver sees of a card, without a
 * context on it.
 */
const declarations = {
  nvmlInit: 'int nvmlInit_v2()',
  nvmlShutdown: 'int nvmlShutdown()',
  nvmlDeviceGetHandleByPciBusId:
    'int nvmlDeviceGetHandleByPciBusId_v2(const char *busId, void *device)',
  nvmlDeviceGetMemoryInfo: 'int nvmlDeviceGetMemoryInfo(uint64_t device, void *memory)',
} as const;

export type Nvml = Readonly<
  Record<keyof typeof declarations, (...args: readonly unknown[]) => void>
>;

/** @throws Error from koffi when the file cannot be loaded or lacks a function. */
export function loadNvml(path: string): Nvml {
  const library = koffi.load(path);
  const getErrorString = library.func('const char *nvmlErrorString(int status)');
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]) => [name, library.func(declaration)]),
  ) as unknown as Record<keyof typeof declarations, (...args: readonly unknown[]) => number>;
  return checkAll('nvml', functions, (status) => `${getErrorString(status)} (${status})`);
}
