import process from 'node:process';
import { parseArgs } from 'node:util';
import { Device, MemoryBudget, parseBytes } from '@emloc/device';
import { openModel, textLimits } from '@emloc/models';
import { minimumDeviceBytes } from '@emloc/weight-pager';

import { benchDevice } from './bench-device.js';
import {
  median,
  randomRows,
  streamForward,
  trainingSteps,
  type StreamedPass,
  type StreamInputs,
} from './stream-runs.js';

const help = `usage: npm run bench -- stream --model DIR [--device cuda] [--passes 4] [--tokens 1024] [--rows 16] [--steps 4] [--weights SIZE] [--json]
What moving layers costs: forward passes of one row over a model of which two layers fit on the device, from page-locked memory and from
the checkpoint's files; and LoRA steps of --rows rows with --weights of device memory for layers (default: two layers) against all of them
resident. --steps 0 leaves the steps out. Rates count 10^9 bytes of weights copied to the device.
`;

interface StreamReport {
  readonly modelBytes: number;
  readonly pinned: readonly StreamedPass[];
  readonly files: readonly StreamedPass[];
  readonly step: StepReport | null;
}

interface StepReport {
  readonly tokens: number;
  readonly pagedSeconds: number;
  readonly residentSeconds: number;
  /** Share of the paged step in which nothing but copies can have been waited for. */
  readonly waitingShare: number;
  readonly copiedBytesPerStep: number;
  readonly isSame: boolean;
}

/** `bench stream` */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string' },
      device: { type: 'string', default: 'cuda' },
      passes: { type: 'string', default: '4' },
      tokens: { type: 'string', default: '1024' },
      rows: { type: 'string', default: '16' },
      steps: { type: 'string', default: '4' },
      weights: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !values.model) {
    (values.help ? process.stdout : process.stderr).write(help);
    return values.help ? 0 : 2;
  }
  const model = await openModel(values.model);
  const device = new Device(
    benchDevice(values.device).open(Number.POSITIVE_INFINITY),
    new MemoryBudget(Number.POSITIVE_INFINITY),
  );
  try {
    const rows = (count: number) =>
      randomRows(
        count,
        Number(values.tokens),
        Math.min(4096, textLimits(model.layout).vocabularySize),
      );
    const one = { model, device, rows: rows(1) };
    const report: StreamReport = {
      modelBytes: model.source.layers
        .flatMap(({ tensors }) => tensors)
        .reduce((sum, { shape }) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0),
      pinned: await streamForward(one, 'pinned', Number(values.passes)),
      files: await streamForward(one, 'files', Number(values.passes)),
      step:
        Number(values.steps) > 0
          ? await measureStep(
              { model, device, rows: rows(Number(values.rows)) },
              values.weights ? sizeOf(values.weights) : null,
              Number(values.steps),
            )
          : null,
    };
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : table(report));
  } finally {
    await device.close();
    await model.close();
  }
  return 0;
}

/** The first step, which reads the model and compiles kernels, is left out. */
async function measureStep(
  inputs: StreamInputs,
  weights: number | null,
  steps: number,
): Promise<StepReport> {
  const resident = await trainingSteps(inputs, null, steps + 1);
  const paged = await trainingSteps(
    inputs,
    weights ?? minimumDeviceBytes(inputs.model.source, inputs.device),
    steps + 1,
  );
  const [pagedSeconds, residentSeconds] = [
    median(paged.stepSeconds.slice(1)),
    median(resident.stepSeconds.slice(1)),
  ];
  return {
    tokens: paged.tokensPerStep,
    pagedSeconds,
    residentSeconds,
    waitingShare: Math.max(0, 1 - residentSeconds / pagedSeconds),
    copiedBytesPerStep: paged.copiedBytes / (steps + 1),
    isSame: paged.losses.join() === resident.losses.join(),
  };
}

function table({ modelBytes, pinned, files, step }: StreamReport): string {
  const rate = ({ bytes, seconds }: StreamedPass): string =>
    (bytes / seconds / 1e9).toFixed(1).padStart(5);
  const line = (name: string, passes: readonly StreamedPass[]): string =>
    `${name.padEnd(36)} GB/s by pass: ${passes.map(rate).join(' ')}; ${((passes.at(-1)?.readBytes ?? 0) / 1e9).toFixed(2)} GB read in the last\n`;
  const steps = step
    ? `training step of ${step.tokens} tokens          paged ${step.pagedSeconds.toFixed(3)} s (${(step.tokens / step.pagedSeconds).toFixed(0)} tokens/s), ` +
      `resident ${step.residentSeconds.toFixed(3)} s: ${(100 * step.waitingShare).toFixed(2)} % waiting; ` +
      `${(step.copiedBytesPerStep / 1e9).toFixed(2)} GB copied a step; losses ${step.isSame ? 'identical' : 'DIFFER'}\n`
    : '';
  return `${(modelBytes / 1e9).toFixed(2)} GB of weights\n${line('forward from page-locked memory', pinned)}${line('forward from the files', files)}${steps}`;
}

/** @throws Error for a text that is no size */
function sizeOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === null) throw new Error(`${text}: expected a size such as 14GiB or 512MiB`);
  return bytes;
}
