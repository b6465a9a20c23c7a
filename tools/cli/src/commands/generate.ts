import process from 'node:process';
import { formatBytes } from '@emloc/device';
import { ImagePool } from '@emloc/images';
import {
  generatePicture,
  generateText,
  modelKind,
  resolveGenerateOptions,
  type GenerateReport,
  type OptionsOf,
  type PictureReport,
} from '@emloc/pipeline';

import { modeOf } from '../chat/mode.js';
import { defineCommand, type CommandResult, type CommandTools } from '../command/define-command.js';
import { checkOptions } from '../exit-code.js';
import { targetOf, type DeviceValues } from '../flags/device.js';
import { generateFlags } from '../flags/generate.js';
import { tableOptions } from '../flags/options.js';
import { withModelFolder } from '../model-folder.js';
import { visible } from '../output/visible.js';

export const command = defineCommand({
  options: tableOptions('generate', 'model'),
  flags: generateFlags,
  notes: '--prompt, --chat or --serve is needed.',
  examples: [
    'generate --model ./base --adapter ./my-adapter --prompt "What is 3 + 4?"',
    'generate --model ./base --adapter ./my-adapter --chat',
    'generate --model ./base --adapter ./my-adapter --serve --port 8080',
    'generate --model ./flux --adapter ./my-adapter --prompt "a photo of sks dog" --out dog.png',
  ],
  run: async (context) => {
    const mode = modeOf(context.values, context.options);
    if (mode === 'prompt') return answer(context);
    // What a server needs is loaded for one only.
    const { runConversations } = await import('../chat/run-conversations.js');
    return runConversations(mode, context);
  },
});

type Called = CommandTools & {
  readonly options: Partial<OptionsOf<'generate'>> & { readonly model: string };
  readonly values: DeviceValues;
};

async function answer(context: Called): Promise<CommandResult> {
  const { prompt = '' } = context.options;
  const resolved = checkOptions(() => resolveGenerateOptions({ ...context.options, prompt }));
  const target = targetOf(context.values);
  const options = await withModelFolder(resolved, context);
  const kind = await modelKind(options.model);
  return kind === 'pictures' ? picture(options, target, context) : text(options, target, context);
}

type Options = ReturnType<typeof resolveGenerateOptions>;
type Target = ReturnType<typeof targetOf>;

async function text(
  options: Options,
  target: Target,
  { json, progress, signal }: CommandTools,
): Promise<CommandResult> {
  const report = await generateText(options, {
    target,
    openImages: () => new ImagePool(),
    signal,
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onText: (part) => {
      if (!json) process.stdout.write(visible(part));
    },
  });
  if (!json) {
    process.stdout.write('\n');
    progress.note(summary(report));
  }
  return { document: report, text: '' };
}

async function picture(
  options: Options,
  target: Target,
  { progress, signal }: CommandTools,
): Promise<CommandResult> {
  const report = await generatePicture(options, {
    target,
    signal,
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onProgress: (task, done, total) => progress.update(task, done, total),
  });
  return { document: report, text: pictureSummary(report) };
}

function pictureSummary(report: PictureReport): string {
  const { path, width, height, steps, seed, seconds, secondsPerStep } = report;
  const memory = `${formatBytes(report.peakDeviceBytes)} of ${formatBytes(report.budgetBytes)}`;
  return [
    `${path}: ${width} x ${height} pixels, seed ${seed}`,
    `${steps} steps of ${secondsPerStep.toFixed(2)} s, ${seconds.toFixed(1)} s in all, device memory ${memory}`,
  ].join('\n');
}

function summary({ tokens, finish, seconds, tokensPerSecond }: GenerateReport): string {
  const end = finish === 'length' ? ', all that it could have' : '';
  return `${tokens} tokens${end}, ${seconds.toFixed(1)} s, ${tokensPerSecond.toFixed(1)} tokens/s`;
}
