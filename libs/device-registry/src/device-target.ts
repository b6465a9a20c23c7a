import type { DeviceTarget } from '@emloc/device';
import { cpuProfile, createCpuBackend, describeCpu } from '@emloc/device-cpu';
import {
  cardUsage,
  createCudaBackend,
  cudaOrdinal,
  cudaProfile,
  describeCuda,
  hasFastFloat64,
  launchOperationsOf,
} from '@emloc/device-cuda';
import {
  createTfjsBackend,
  describeTfjs,
  tfjsProfile,
  tfjsRuntime,
  type TfjsRuntime,
} from '@emloc/device-tfjs';

import { cardRates } from './card-rates.js';
import { cardSheets } from './card-sheets.js';
import { DeviceRegistryError } from './errors.js';

/** A device to run on, and what is remembered of it with an adapter. */
export interface NamedTarget extends DeviceTarget {
  readonly name: string;
  /** Library and thread count: equal bytes are promised for equal descriptions. */
  readonly description: string;
  /** null: the device can be had. */
  readonly problem: string | null;
  /** The card behind it, as its driver sees it; not there for devices that are none. */
  readonly card?: CardUsage;
}

/** Memory of a card, by everybody who uses it. */
export interface CardUsage {
  readonly ordinal: number;
  readonly uuid: string;
  readonly totalBytes: number;
  /** null: the driver does not say. */
  usedBytes(): number | null;
}

/** For a plan on a machine that has no card. */
const elsewhere = cardRates(cardSheets.h100);

/** More than any machine has cores. */
const mostThreads = 1024;

/**
 * The device of this name (`auto`, `cpu`, `cuda`, `cuda:N`, `tfjs`, `tfjs:cpu`); `auto` is CUDA
 * where it can be had, else the CPU. A device that cannot be had can still be planned for.
 * @param threads of the CPU device; by default `OMP_NUM_THREADS`, else all cores.
 * @throws DeviceRegistryError
 */
export function deviceTarget(name: string = 'auto', threads?: number): NamedTarget {
  const isAllowed =
    threads === undefined ||
    (Number.isSafeInteger(threads) && threads > 0 && threads <= mostThreads);
  if (!isAllowed) {
    throw new DeviceRegistryError(
      'DEVICE_INVALID_OPTION',
      `${threads} threads: a whole number of at least 1 and at most ${mostThreads} is expected`,
    );
  }
  const ordinal = cudaOrdinal(name);
  if (ordinal !== null) return cudaTarget(ordinal);
  if (name === 'cpu') return cpuTarget(threads);
  const runtime = tfjsRuntime(name);
  if (runtime !== null) return tfjsTarget(name, runtime);
  if (name === 'auto') return describeCuda().available ? cudaTarget(0) : cpuTarget(threads);
  throw new DeviceRegistryError(
    'DEVICE_UNKNOWN',
    `device "${name}": expected auto, cpu, cuda, cuda:N or tfjs`,
  );
}

function cpuTarget(threads: number | undefined): NamedTarget {
  const { version, threads: used } = describeCpu({ threads });
  return {
    name: 'cpu',
    profile: cpuProfile,
    description: `cpu, ${version}, ${used} threads`,
    problem: null,
    open: async () => createCpuBackend({ threads }),
  };
}

function tfjsTarget(name: string, runtime: TfjsRuntime): NamedTarget {
  const { description, problem } = describeTfjs(runtime);
  return {
    name,
    profile: tfjsProfile,
    description: `tfjs, ${description ?? 'not installed'}`,
    problem,
    ratesElsewhere: elsewhere,
    open: async () => createTfjsBackend(runtime),
  };
}

function cudaTarget(ordinal: number): NamedTarget {
  const { problem, cards, libraries } = describeCuda();
  const card = cards[ordinal];
  const versions = libraries
    .flatMap(({ name, version }) => (version ? [`${name} ${version}`] : []))
    .join(', ');
  return {
    name: `cuda:${ordinal}`,
    profile: cudaProfile({
      name: 'cuda',
      ...(card && {
        hasFastFloat64: hasFastFloat64(card),
        launchOperations: launchOperationsOf(card),
      }),
    }),
    description: `cuda, ${card?.name ?? 'no card'}${versions ? `, ${versions}` : ''}`,
    problem: problem ?? (card ? null : `there is no card ${ordinal}`),
    card: card && cardOf(card),
    ratesElsewhere: elsewhere,
    open: async (capacityBytes) => createCudaBackend({ ordinal, capacityBytes }),
  };
}

function cardOf({ ordinal, uuid, totalBytes }: Omit<CardUsage, 'usedBytes'>): CardUsage {
  const usedBytes = cardUsage(ordinal);
  return { ordinal, uuid, totalBytes, usedBytes: () => usedBytes?.() ?? null };
}
