import { Device, DeviceError, MemoryBudget, type Backend } from '@emloc/device';
import { AllocationFaults, faultyBackend } from '@emloc/device-conformance';
import { factorNames } from '@emloc/models';
import type { Job } from '@emloc/pipeline';
import {
  noTrainingStore,
  runJob,
  StageClock,
  type FactorStore,
  type JobEnvironment,
  type MemoryPlan,
} from '@emloc/pipeline/stages';

/** What refusing one allocation did. */
export interface FaultOutcome {
  /** Index of the refused allocation. */
  readonly refused: number;
  /** completed: the allocation was one that is tried again (a layer loaded ahead). */
  readonly ending: 'completed' | 'typed error' | 'other error';
  /** Everything that is not as it was before the job; empty when nothing is. */
  readonly leftovers: readonly string[];
  readonly message: string | null;
}

export interface FaultInputs {
  readonly job: Job;
  /** Shared by all runs; stays open. */
  readonly backend: Backend;
  readonly budgetBytes: number;
  readonly memory: MemoryPlan;
  /**
   * The faults of the present run, for a backend that reports its allocations itself; null: the
   * wrapper sees them.
   */
  readonly reporting: { faults: AllocationFaults | null } | null;
}

/** How many allocations the job makes. */
export async function countAllocations(inputs: FaultInputs): Promise<number> {
  const faults = new AllocationFaults(null);
  const { ending, message, leftovers } = await runWith(inputs, faults, -1);
  if (ending !== 'completed' || leftovers.length > 0)
    throw new Error(
      `the job without faults: ${ending}, ${message ?? ''}, left ${leftovers.join(', ')}`,
    );
  return faults.count;
}

/** Runs the job once for each index, with that allocation refused. */
export async function injectFaults(
  inputs: FaultInputs,
  indices: readonly number[],
  onOutcome: (outcome: FaultOutcome) => void,
): Promise<void> {
  for (const refused of indices)
    onOutcome(await runWith(inputs, new AllocationFaults(refused), refused));
}

/**
 * Whether an outcome is what a user may see: a typed error or a finished job, and nothing left
 * behind.
 */
export function isAcceptable({ ending, leftovers }: FaultOutcome): boolean {
  return ending !== 'other error' && leftovers.length === 0;
}

async function runWith(
  { job, backend, budgetBytes, memory, reporting }: FaultInputs,
  faults: AllocationFaults,
  refused: number,
): Promise<FaultOutcome> {
  const { profile } = backend;
  const faulty = faultyBackend(backend, faults, { checksDevice: reporting === null });
  const budget = new MemoryBudget(budgetBytes);
  const device = new Device(faulty, budget);
  if (reporting) reporting.faults = faults;
  try {
    const failure = await runOnce(job, device, memory);
    if (reporting) reporting.faults = null;
    await device.synchronize();
    const leftovers = [
      ...named('tensors', device.liveTensors),
      ...named('allocations', faulty.liveAllocations),
      ...named('host buffers', faulty.liveHostBuffers),
      ...named('reserved bytes', budget.inUseBytes - profile.reserveBytes),
    ];
    return {
      refused,
      ending: endingOf(failure),
      leftovers,
      message: failure && `${failure.name}: ${failure.message}`,
    };
  } finally {
    if (reporting) reporting.faults = null;
    await device.close().catch(() => undefined);
  }
}

async function runOnce(job: Job, device: Device, memory: MemoryPlan): Promise<Error | null> {
  const environment: JobEnvironment = {
    device,
    memory,
    factors: new HostFactors(),
    training: noTrainingStore,
    images: null,
    clock: new StageClock(device.budget),
    reads: 'real',
    hostBytes: Number.POSITIVE_INFINITY,
    prefetch: true,
    observer: () => undefined,
  };
  try {
    await runJob({ job, environment });
    return null;
  } catch (error) {
    return error as Error;
  }
}

/**
 * Factors in host memory: a job for each allocation would wait for the disk more than for anything
 * else.
 */
class HostFactors implements FactorStore {
  readonly #tensors = new Map<string, Uint8Array>();

  finished(): Promise<ReadonlyMap<number, never[]>> {
    return Promise.resolve(new Map<number, never[]>());
  }

  put: FactorStore['put'] = (block, factors) => {
    for (const { linear, u, v } of factors) {
      const names = factorNames(linear.name);
      this.#tensors.set(`${block} ${names.u}`, u).set(`${block} ${names.v}`, v);
    }
    return Promise.resolve();
  };

  read(block: number, tensor: string, destination: Uint8Array): Promise<void> {
    destination.set(this.#tensors.get(`${block} ${tensor}`) ?? []);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Typed: a DeviceError of memory, or an error with a code of its own that has one as its cause. */
function endingOf(failure: Error | null): FaultOutcome['ending'] {
  if (!failure) return 'completed';
  for (let error: unknown = failure; error instanceof Error; error = error.cause) {
    if (error instanceof DeviceError && error.code === 'DEVICE_OUT_OF_MEMORY')
      return 'code' in failure ? 'typed error' : 'other error';
  }
  return 'other error';
}

function named(what: string, count: number): readonly string[] {
  return count === 0 ? [] : [`${count} ${what}`];
}
