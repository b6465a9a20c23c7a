import { at } from '@emloc/checked';
import {
  TensorScope,
  type Device,
  type LaunchRates,
  type ProbeOperands,
  type RecordedWork,
} from '@emloc/device';

/** Prepares launches of one kernel; the same operands on either device. */
export type Launches = (device: Device, operands: ProbeOperands) => () => void | Promise<unknown>;

/**
 * Long enough to see past the clock's grain and a cold cache, short enough not to be noticed before
 * a run of minutes.
 */
const minimumProbeSeconds = 0.03;
const maximumRepetitions = 64;
/** Launches that take longer hide what launching the next one takes. */
const longestRecordedSeconds = 1e-3;
/** Launches of a recording, enough that launching it takes no time beside them. */
const recordedLaunches = 32;
/** Launches by which it is timed what they take the host. */
const issuedLaunches = 512;
/** A step launches a product of one size once for each block. */
const productSizes = 16;

/**
 * Seconds that the device takes for a launch, not the host, where these work beside each other:
 * short launches are made as one.
 */
export async function timeLaunches(device: Device, launches: Launches): Promise<number> {
  return withOperands(device, async (operands) => {
    const launch = launches(device, operands);
    const run = async (repetitions: number): Promise<void> => {
      for (let i = 0; i < repetitions; i += 1) await launch();
      await device.synchronize();
    };
    await run(1);
    const isShort = (await secondsOf(() => run(1))) < longestRecordedSeconds;
    const recorded = isShort ? await recordLaunches(device, launch) : null;
    if (!recorded) return timed(run);
    try {
      const seconds = await timed(async (repetitions) => {
        for (let i = 0; i < repetitions; i += 1) recorded.launch();
        await device.synchronize();
      });
      return seconds / recordedLaunches;
    } finally {
      recorded.dispose();
    }
  });
}

/** What a launch takes the device whatever its work; 0 where kernels go on beside copies alone. */
export async function callSeconds(device: Device): Promise<number> {
  if (device.profile.overlapsCopies && !device.recorder) return 0;
  return timeLaunches(device, addOne);
}

/**
 * What launches take the host where the device works beside it.
 * @param programSecondsPerLaunch what the program does for a launch before the device is called
 */
export async function timeHost(
  device: Device,
  programSecondsPerLaunch: number,
): Promise<LaunchRates> {
  return withOperands(device, async (operands) => {
    const launch = addOne(device, operands);
    const multiply = productsOf(device, operands);
    const issue = async (): Promise<void> => {
      for (let i = 0; i < issuedLaunches; i += 2) {
        // A program takes memory for what it launches.
        device.allocate([1, 1], device.profile.computeDType, 'workspace', 'benchmark').dispose();
        launch();
        multiply(i);
      }
    };
    await issue();
    await device.synchronize();
    const seconds = await secondsOf(issue);
    await device.synchronize();
    const recording = await secondsOf(async () => {
      if (device.recorder?.begin([])) await issue();
      device.recorder?.end([], [])?.dispose();
    });
    await device.synchronize();
    return {
      secondsPerLaunch: seconds / issuedLaunches + programSecondsPerLaunch,
      secondsPerRecordedLaunch: Math.max(0, recording - seconds) / issuedLaunches,
    };
  });
}

function addOne({ kernels }: Device, { tensor }: ProbeOperands): () => void {
  const [x, out] = [tensor([1, 1]), tensor([1, 1])];
  return () => kernels.add({ x, out, alpha: 1e-3 });
}

/** Small products, some of each size: libraries think anew about every size. */
function productsOf({ kernels }: Device, { tensor }: ProbeOperands): (launch: number) => void {
  const b = tensor([16, 16]);
  const sizes = Array.from({ length: productSizes }, (_, index) => {
    const [a, out] = [tensor([16 * (index + 1), 16]), tensor([16 * (index + 1), 16])];
    return () => kernels.gemm({ a, b, out });
  });
  return (launch) => at(sizes, Math.floor((launch * sizes.length) / issuedLaunches))();
}

/** Null where launches cannot be made again: they read what is uploaded anew each time. */
async function recordLaunches(
  { recorder }: Device,
  launch: () => void | Promise<unknown>,
): Promise<RecordedWork | null> {
  if (!recorder?.begin([])) return null;
  for (let i = 0; i < recordedLaunches; i += 1) await launch();
  const recorded = recorder.end([], []);
  if (recorded?.launches && recorded.fits([])) return recorded;
  recorded?.dispose();
  return null;
}

/** Seconds of one repetition: the least of three runs that are each long enough. */
export async function timed(run: (repetitions: number) => Promise<void>): Promise<number> {
  let repetitions = 1;
  for (;;) {
    const seconds = await secondsOf(() => run(repetitions));
    if (seconds < minimumProbeSeconds / 3 && repetitions < maximumRepetitions) repetitions *= 2;
    else
      return (
        Math.min(
          seconds,
          await secondsOf(() => run(repetitions)),
          await secondsOf(() => run(repetitions)),
        ) / repetitions
      );
  }
}

/** Seconds that it takes. */
export async function secondsOf(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1000;
}

/** Operands for launches, the device's while they are made. */
export async function withOperands<T>(
  device: Device,
  run: (operands: ProbeOperands) => Promise<T>,
): Promise<T> {
  using scope = new TensorScope(device, 'benchmark');
  return await run({
    statisticsDType: device.profile.statisticsDType,
    tensor: (shape, dtype = device.profile.computeDType) => {
      const tensor = scope.own(device.allocate(shape, dtype, 'workspace', 'benchmark'));
      device.kernels.fill({ out: tensor, value: 0.5 });
      return tensor;
    },
    indices: (values) =>
      scope.own(
        device.tensor(
          { bytes: new Uint8Array(values.buffer), dtype: 'int32' },
          [values.length],
          'int32',
          'workspace',
          'benchmark',
        ),
      ),
    upload: (tensor, values) =>
      device.upload(tensor, { bytes: new Uint8Array(values.buffer), dtype: 'float32' }),
  });
}
