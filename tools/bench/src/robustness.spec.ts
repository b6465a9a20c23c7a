import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuProfile, createCpuBackend } from '@emloc/device-cpu';
import { prepareJob, requireMemory, type Job } from '@emloc/pipeline';

import {
  countAllocations,
  injectFaults,
  isAcceptable,
  type FaultInputs,
  type FaultOutcome,
} from './robustness-faults.js';
import { growthOf, isFlat, type MemorySample } from './robustness-leaks.js';
import { smallJob } from './robustness.js';

describe('refused allocations', () => {
  const budgetBytes = 2 ** 26;
  let folder: string;
  let job: Job;
  let inputs: FaultInputs;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emloc-robustness-spec-'));
    job = await prepareJob(await smallJob(folder));
    inputs = {
      job,
      backend: createCpuBackend(),
      budgetBytes,
      memory: await requireMemory({ job, profile: cpuProfile, budgetBytes }),
      reporting: null,
    };
  });

  afterAll(async () => {
    await job.close();
    await inputs.backend.close();
    await rm(folder, { recursive: true, force: true });
  });

  // One job for every allocation: that is what makes this suite long.
  it('end in a typed error or are tried again, and leave no tensor, no buffer and no reservation, whichever it is', async () => {
    const count = await countAllocations(inputs);
    expect(count).toBeGreaterThan(100);
    const outcomes: FaultOutcome[] = [];
    await injectFaults(
      inputs,
      Array.from({ length: count }, (_, index) => index),
      (outcome) => outcomes.push(outcome),
    );
    expect(outcomes.filter((outcome) => !isAcceptable(outcome))).toEqual([]);
    expect(outcomes.map(({ refused }) => refused)).toEqual(
      Array.from({ length: count }, (_, index) => index),
    );
    expect(outcomes.filter(({ ending }) => ending === 'typed error').length).toBeGreaterThan(
      count / 2,
    );
  });

  it('are told from a job that fails for another reason, and from one that leaves something behind', async () => {
    const { backend } = inputs;
    const broken = {
      ...inputs,
      backend: { ...wrapped(backend), download: () => Promise.reject(new Error('broken')) },
    };
    const outcomes: FaultOutcome[] = [];
    await injectFaults(broken, [100_000], (outcome) => outcomes.push(outcome));
    expect(outcomes).toMatchObject([
      { ending: 'other error', message: 'Error: broken', leftovers: [] },
    ]);
    expect(
      isAcceptable({ refused: 0, ending: 'typed error', leftovers: ['1 tensors'], message: null }),
    ).toBe(false);
  });
});

/** A backend as an object of its own, for a test that replaces one of its functions. */
function wrapped(backend: FaultInputs['backend']): FaultInputs['backend'] {
  return {
    profile: backend.profile,
    kernels: backend.kernels,
    allocate: (bytes, dtype) => backend.allocate(bytes, dtype),
    free: (handle) => backend.free(handle),
    upload: (destination, source, stream) => backend.upload(destination, source, stream),
    download: (source) => backend.download(source),
    downloadBytes: (source, destination) => backend.downloadBytes(source, destination),
    allocateHost: (bytes) => backend.allocateHost(bytes),
    record: (stream) => backend.record(stream),
    streamWait: (stream, event) => backend.streamWait(stream, event),
    synchronize: () => backend.synchronize(),
    close: () => backend.close(),
  };
}

describe('memory over many steps', () => {
  const samples = (resident: (step: number) => number, device = 1000): MemorySample[] =>
    Array.from({ length: 40 }, (_, step) => ({
      step,
      deviceBytes: device,
      cardBytes: null,
      residentBytes: resident(step),
    }));

  it('is flat when it only wavers or is taken once at the start, and not when it grows with the steps', () => {
    const mebibyte = 2 ** 20;
    expect(isFlat(growthOf(samples((step) => (step < 5 ? 50 : 200 + (step % 3)) * mebibyte)))).toBe(
      true,
    );
    expect(isFlat(growthOf(samples((step) => (200 + 2 * step) * mebibyte)))).toBe(false);
    expect(
      isFlat(
        growthOf(samples(() => 0).map((sample, step) => ({ ...sample, deviceBytes: 1000 + step }))),
      ),
    ).toBe(false);
    expect(
      isFlat(
        growthOf(samples(() => 0).map((sample, step) => ({ ...sample, cardBytes: 1000 * step }))),
      ),
    ).toBe(false);
  });
});
