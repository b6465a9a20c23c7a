import process from 'node:process';
import { formatBytes } from '@emloc/device';
import { ImagePool } from '@emloc/images';
import {
  generatePicture,
  generateText,
  modelKind,
  resolveGenerateOptions,
  type GenerateReport,
  type PictureReport,
} from '@emloc/pipeline';
import type { Command } from 'commander';

import { checkOptions } from '../exit-code.js';
import { addFlags, commonFlags, deviceFlags, optionFlags, optionValues } from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { visible } from '../output/visible.js';
import { runCommand, type CommandContext, type CommandResult } from '../run-command.js';
import { targetOf } from './tune.js';

export function addGenerateCommand(program: Command): void {
  const command = program
    .command('generate')
    .description(
      'what a model answers to a prompt, or the picture that it makes of it, with an adapter or without',
    );
  addFlags(command, optionFlags('generate'), deviceFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc generate --model ./base --adapter ./my-adapter --prompt "What is 3 + 4?"' +
        '\n  emloc generate --model ./flux --adapter ./my-adapter --prompt "a photo of sks dog" --out dog.png',
    )
    .action(
      runCommand(['model', 'prompt'], async (context) => {
        const given = optionValues('generate', context.values) as RequiredTexts;
        const resolved = checkOptions(() => resolveGenerateOptions(given));
        const target = targetOf(context.values);
        const options = await withModelFolder(resolved, context);
        const kind = await modelKind(options.model);
        return kind === 'pictures'
          ? picture(options, target, context)
          : text(options, target, context);
      }),
    );
}

type Options = ReturnType<typeof resolveGenerateOptions>;
type Target = ReturnType<typeof targetOf>;

async function text(
  options: Options,
  target: Target,
  { values, progress, signal }: CommandContext,
): Promise<CommandResult> {
  const isShown = values['json'] !== true;
  const report = await generateText(options, {
    target,
    openImages: () => new ImagePool(),
    signal,
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onText: (part) => {
      if (isShown) process.stdout.write(visible(part));
    },
  });
  if (isShown) {
    process.stdout.write('\n');
    progress.note(summary(report));
  }
  return { document: report, text: '' };
}

async function picture(
  options: Options,
  target: Target,
  { progress, signal }: CommandContext,
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

type RequiredTexts = Parameters<typeof resolveGenerateOptions>[0];
