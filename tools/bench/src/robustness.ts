import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { get } from '@emloc/checked';
import { formatBytes } from '@emloc/device';
import type { AllocationFaults } from '@emloc/device-conformance';
import { cudaOrdinal } from '@emloc/device-cuda';
import { openModel } from '@emloc/models';
import {
  prepareJob,
  requireMemory,
  resolveTuneOptions,
  tune,
  type TuneOptions,
} from '@emloc/pipeline';

import { benchDevice, type BenchDevice } from './bench-device.js';
import { sampleCard, watchCard } from './robustness-card.js';
import {
  countAllocations,
  injectFaults,
  isAcceptable,
  type FaultOutcome,
} from './robustness-faults.js';
import { growthOf, isFlat, sampleTraining } from './robustness-leaks.js';
import { makeShapeModel, modelShapes } from './shape-model.js';

const help = `usage: npm run bench -- robustness [--device cpu] [--parts leaks,faults,cap] [--steps 1000] [--stride 1] [--vram 1200MiB]
leaks   --steps training steps on a small paged model: device and resident memory stay as they are
faults  a small job once for every allocation it makes (every --stride-th), that one refused: it ends in the typed error, nothing is left
cap     a job on examples/models/demo-5m within --vram while another process samples the card: never more than --vram (CUDA only)
Run it from the repository root. Exit code 1 when something is not as it should be.
`;

interface Part {
  readonly text: string;
  readonly isRight: boolean;
}

interface Flags {
  readonly device: BenchDevice;
  readonly steps: number;
  readonly stride: number;
  readonly vramBytes: number;
}

/** `bench robustness` */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      device: { type: 'string', default: 'cpu' },
      parts: { type: 'string', default: 'leaks,faults,cap' },
      steps: { type: 'string', default: '1000' },
      stride: { type: 'string', default: '1' },
      vram: { type: 'string', default: '1200' },
      sample: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.sample !== undefined) return sampleCard(Number(values.sample));
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const vramBytes = Number.parseFloat(values.vram) * 2 ** 20;
  const flags: Flags = {
    device: benchDevice(values.device),
    steps: Number(values.steps),
    stride: Number(values.stride),
    vramBytes,
  };
  const parts: Readonly<Record<string, (flags: Flags) => Promise<Part>>> = { leaks, faults, cap };
  let failures = 0;
  for (const name of values.parts.split(',')) {
    const part = parts[name];
    if (!part || (name === 'cap' && cudaOrdinal(flags.device.name) === null)) continue;
    const { text, isRight } = await part(flags);
    process.stdout.write(`${isRight ? 'ok  ' : 'FAIL'} ${name}: ${text}\n`);
    if (!isRight) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

async function leaks({ device, steps }: Flags): Promise<Part> {
  const model = await openModel('examples/models/tiny-qwen2');
  const backend = device.open(Number.POSITIVE_INFINITY);
  try {
    const samples = await sampleTraining(model, backend, steps);
    const growth = growthOf(samples);
    const last = samples.at(-1);
    const card =
      growth.cardBytes === null
        ? ''
        : `, on the card ${formatBytes(last?.cardBytes ?? 0)} (growth ${growth.cardBytes} B)`;
    const text =
      `${steps} steps, device ${formatBytes(last?.deviceBytes ?? 0)} (growth ${growth.deviceBytes} B)${card}, ` +
      `resident ${formatBytes(last?.residentBytes ?? 0)} (growth ${(growth.residentBytes / 2 ** 20).toFixed(1)} MiB)`;
    return { text, isRight: isFlat(growth) };
  } finally {
    await backend.close();
    await model.close();
  }
}

async function faults({ device, stride }: Flags): Promise<Part> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-robustness-'));
  const reporting: { faults: AllocationFaults | null } = { faults: null };
  const backend = device.open(Number.POSITIVE_INFINITY, {
    onAllocate: (bytes) => reporting.faults?.check(bytes),
  });
  const job = await prepareJob(await smallJob(folder));
  try {
    const budgetBytes = device.profile.reserveBytes + 2 ** 26;
    const memory = await requireMemory({ job, profile: device.profile, budgetBytes });
    const inputs = {
      job,
      backend,
      budgetBytes,
      memory,
      reporting: cudaOrdinal(device.name) === null ? null : reporting,
    };
    const count = await countAllocations(inputs);
    const outcomes: FaultOutcome[] = [];
    await injectFaults(
      inputs,
      Array.from({ length: Math.ceil(count / stride) }, (_, index) => index * stride),
      (outcome) => outcomes.push(outcome),
    );
    const wrong = outcomes.filter((outcome) => !isAcceptable(outcome));
    const completed = outcomes.filter(({ ending }) => ending === 'completed').length;
    const first = wrong[0] ? `; first: ${JSON.stringify(wrong[0])}` : '';
    return {
      text: `${outcomes.length} of ${count} allocations refused, ${completed} tried again, ${wrong.length} ended wrongly${first}`,
      isRight: wrong.length === 0,
    };
  } finally {
    await job.close();
    await backend.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Every stage on the smallest model there can be: layers emulated and not, adapted and not, both
 * and neither.
 */
export async function smallJob(folder: string): Promise<TuneOptions> {
  const model = join(folder, 'model');
  await makeShapeModel(model, get(modelShapes, 'micro'));
  const lines = (await readFile('examples/data/train.jsonl', 'utf8')).split('\n');
  const [data, validation] = [join(folder, 'train.jsonl'), join(folder, 'validation.jsonl')];
  await writeFile(data, `${lines.slice(0, 2).join('\n')}\n`);
  await writeFile(validation, `${lines.slice(2, 3).join('\n')}\n`);
  return resolveTuneOptions({
    model,
    data,
    validation,
    out: join(folder, 'out'),
    steps: 1,
    batch: 1,
    maxLength: 96,
    calibrationRows: 1,
    rank: 2,
    alpha: 4,
    ratios: [String.raw`.*\.(q|v|down)_proj=0.5`, '1'],
    targets: String.raw`.*\.(v|o|down)_proj`,
    correction: 1,
    refineSteps: 1,
  });
}

async function cap({ device, vramBytes }: Flags): Promise<Part> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-cap-'));
  try {
    await copyFile('examples/data/train.jsonl', join(folder, 'train.jsonl'));
    const options = resolveTuneOptions({
      model: 'examples/models/demo-5m',
      data: join(folder, 'train.jsonl'),
      out: join(folder, 'out'),
      steps: 40,
      batch: 8,
      maxLength: 128,
      vramBytes,
    });
    const target = {
      profile: device.profile,
      open: (bytes: number) => Promise.resolve(device.open(bytes)),
    };
    const { result, peak } = await watchCard(cudaOrdinal(device.name) ?? 0, () =>
      tune(options, { target, provenance: { program: 'emloc bench', device: device.name } }),
    );
    const ownBytes = peak.peakBytes - peak.beforeBytes;
    const text = `${formatBytes(ownBytes)} on the card at most in ${peak.samples} samples, budget ${formatBytes(vramBytes)}, its peak ${formatBytes(result.peakDeviceBytes)}`;
    return { text, isRight: ownBytes <= vramBytes && peak.samples > 0 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
