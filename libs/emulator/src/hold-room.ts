import {
  Device,
  factorizationNames,
  factorizations,
  launchedKernelNames,
  MemoryBudget,
  sharedFloats,
  sharedZeros,
  type Backend,
  type DeviceProfile,
  type HostValues,
  type Kernels,
  type Reservation,
  type Tensor,
} from '@emloc/device';

/** What a program reads: the device and one tensor on it. */
interface Given {
  readonly device: Device;
  readonly weight: Tensor;
}

type Program<O extends Given> = (options: O) => Promise<{ u: Tensor; v: Tensor } | null>;

/** What programs take beyond others, by profile and key. */
const known = new WeakMap<DeviceProfile, Map<string, number>>();

/**
 * Holds what `whole` takes beyond `part`, so that a run of `part` has the peak of whichever takes
 * more, and `whole` fits afterwards. Both are run on a device that only reserves, so their memory
 * must depend on shapes alone, for which `key` stands: they are run once for each.
 * @throws OutOfBudgetError
 */
export async function holdRoom<O extends Given>(
  options: O,
  { key, whole, part }: { key: string; whole: Program<O>; part: Program<O> },
): Promise<Reservation> {
  const { budget, profile } = options.device;
  const byKey = known.get(profile) ?? new Map<string, number>();
  known.set(profile, byKey);
  const beyond = byKey.get(key) ?? (await peakOf(options, whole)) - (await peakOf(options, part));
  byKey.set(key, beyond);
  const label = `room for the full eigenproblem of ${options.weight.label}`;
  return budget.reserve(Math.max(0, beyond), 'workspace', label);
}

async function peakOf<O extends Given>(options: O, program: Program<O>): Promise<number> {
  const { device, weight } = options;
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  await using idle = new Device(idleBackend(device.profile), budget);
  using copy = idle.allocate(weight.shape, weight.dtype, 'weights', weight.label);
  const found = await program({ ...options, device: idle, weight: copy });
  for (const tensor of found ? [found.u, found.v] : []) tensor.dispose();
  return budget.peakBytes;
}

/** Does nothing; a download gives zeros, and every matrix is positive definite. */
function idleBackend(profile: DeviceProfile): Backend<null> {
  const nothing = () => undefined;
  const launched = launchedKernelNames.map((name) => [name, nothing]);
  const awaited = factorizationNames.map((name) => [
    name,
    () => Promise.resolve(factorizations[name].planned),
  ]);
  return {
    profile,
    kernels: Object.fromEntries([...launched, ...awaited]) as Kernels,
    allocate: () => null,
    free: nothing,
    upload: nothing,
    download: (source) => Promise.resolve(zerosOf(source)),
    downloadBytes: () => Promise.resolve(),
    blank: sharedFloats,
    allocateHost: (bytes) => ({ bytes: new Uint8Array(bytes), dispose: nothing }),
    record: () => ({ wait: () => Promise.resolve(), dispose: nothing }),
    streamWait: nothing,
    synchronize: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function zerosOf({ dtype, size }: Tensor): HostValues {
  return dtype === 'float64'
    ? new Float64Array(sharedZeros(8 * size), 0, size)
    : sharedFloats(size);
}
