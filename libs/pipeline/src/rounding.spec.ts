import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceProfile, DeviceTarget } from '@emloc/device';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';

import { leaveCrash, takeSnapshot } from '../test/crash.js';
import { openWorkspace, tuneHost, type Workspace } from '../test/fixtures.js';
import type { JobEvent } from './job/observer.js';
import { prepareJob } from './job/prepare-job.js';
import { roundedTokens } from './job/rounded-tokens.js';
import type { TuneReport } from './job/tune-report.js';
import type { TuneOptions } from './options/resolve.js';
import { fitMemory } from './plan/fit-memory.js';
import { tune, type TuneHost } from './tune.js';

const small: Partial<TuneOptions> = {
  ...{ batch: 2, maxLength: 48, calibrationRows: 2, steps: 4, refineSteps: 2 },
};

/** The CPU as a device whose host takes so long to launch a kernel. */
function targetOf(launchOperations: number): DeviceTarget {
  const profile: DeviceProfile = { ...cpuProfile, launchOperations };
  return {
    profile,
    open: () =>
      Promise.resolve(Object.defineProperty(createCpuBackend(), 'profile', { value: profile })),
  };
}

/** Everything is rounded. */
const slow = targetOf(1e12);

let workspace: Workspace;

beforeAll(async () => {
  workspace = await openWorkspace();
});

afterAll(() => workspace.close());

async function run(
  name: string,
  options: Partial<TuneOptions> = {},
  host: Partial<TuneHost> = {},
): Promise<{ readonly report: TuneReport; readonly bytes: string }> {
  const out = join(workspace.outputs, name);
  const given = workspace.options({ ...small, ...options, out });
  const report = await tune(given, tuneHost({ target: slow, ...host }));
  return { report, bytes: await readFile(join(out, 'adapter_model.safetensors'), 'base64') };
}

/** The limits of a job on a device, and what it needs. */
async function planned(target: DeviceTarget, options: Partial<TuneOptions> = {}) {
  await using job = await prepareJob(workspace.options({ ...small, ...options }));
  const { profile } = target;
  const { neededBytes } = await fitMemory({ job, profile, budgetBytes: 2 ** 40 });
  return {
    neededBytes,
    onEmulator: roundedTokens(job, job.emulated, profile),
    onOriginal: roundedTokens(job, [], profile),
  };
}

describe('a job whose batches are rounded', () => {
  it('comes to equal bytes, killed or not, and at the budget that is planned', async () => {
    const options = { loraDropout: 0.25, gradientAccumulation: 2 };
    const out = join(workspace.outputs, 'whole');
    const snapshots: string[] = [];
    const observer = (event: JobEvent): void => {
      if (event.type !== 'step') return;
      snapshots.push(join(workspace.outputs, '..', 'rounding', String(snapshots.length)));
      takeSnapshot(out, snapshots.at(-1) ?? '');
    };
    const { bytes } = await run('whole', options, { observer, checkpointSteps: 1 });
    await leaveCrash(join(workspace.outputs, 'killed'), snapshots.at(2) ?? '');
    expect((await run('killed', options, { mode: 'resume' })).bytes).toBe(bytes);
    const { neededBytes } = await planned(slow, options);
    const least = await run('least', { ...options, vramBytes: neededBytes });
    expect(least.bytes).toBe(bytes);
    expect(least.report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
    const unrounded = await run('unrounded', options, { target: targetOf(0) });
    expect(unrounded.bytes).not.toBe(bytes);
  });

  it.each([
    ['an emulator', {}],
    ['the original with DoRA', { method: 'paged', useDora: true, refineSteps: null }],
    ['levels', { levels: '0.2:2,0.4:2x2', steps: null, ratios: [], refineSteps: null }],
  ] as const)('has the losses that it has without, on %s', async (name, options) => {
    const rounded = await run(`rounded, ${name}`, options);
    const plain = await run(`plain, ${name}`, options, { target: targetOf(0) });
    expect(rounded.bytes).not.toBe(plain.bytes);
    for (const key of ['base', 'uncorrected'] as const)
      expect(rounded.report.validation[key]).toBeCloseTo(plain.report.validation[key], 5);
    expect(rounded.report.job).toBe(plain.report.job);
  });

  it('fits into what is planned where some batches are above the limit', async () => {
    const all = await planned(slow);
    const none = await planned(targetOf(0));
    expect(all.neededBytes).toBeGreaterThan(none.neededBytes);
    expect([none.onEmulator, none.onOriginal]).toEqual([0, 0]);
    expect(all.onEmulator).toBeGreaterThan(all.onOriginal);
    for (const tokens of [40, 60, 80]) {
      const target = targetOf((1e12 * tokens) / all.onOriginal);
      const { neededBytes, onOriginal } = await planned(target);
      expect(Math.abs(onOriginal - tokens)).toBeLessThanOrEqual(1);
      const { report } = await run(`of ${tokens}`, { vramBytes: neededBytes }, { target });
      expect(report.peakDeviceBytes).toBeLessThanOrEqual(neededBytes);
      // So many that not each of their batches is looked at.
      const many = await planned(target, { steps: 5000 });
      expect(many.neededBytes).toBeGreaterThanOrEqual(neededBytes);
    }
  });
});
