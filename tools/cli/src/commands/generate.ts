import process from 'node:process';
import { ImagePool } from '@emloc/images';
import { generateText, resolveGenerateOptions, type GenerateReport } from '@emloc/pipeline';
import type { Command } from 'commander';

import { addFlags, commonFlags, deviceFlags, optionFlags, optionValues } from '../flags.js';
import { withModelFolder } from '../model-folder.js';
import { visible } from '../output/visible.js';
import { runCommand } from '../run-command.js';
import { targetOf } from './tune.js';

export function addGenerateCommand(program: Command): void {
  const command = program
    .command('generate')
    .description('what a model answers to a prompt, with an adapter or without, as it is made');
  addFlags(command, optionFlags('generate'), deviceFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc generate --model ./base --adapter ./my-adapter --prompt "What is 3 + 4?"',
    )
    .action(
      runCommand(['model', 'prompt'], async ({ values, progress, signal }) => {
        const given = resolveGenerateOptions(optionValues('generate', values) as RequiredTexts);
        const options = await withModelFolder(given, { progress, signal });
        const isShown = values['json'] !== true;
        const report = await generateText(options, {
          target: targetOf(values),
          openImages: () => new ImagePool(),
          signal,
          onNotice: (message) => progress.observe({ type: 'notice', message }),
          onText: (text) => {
            if (isShown) process.stdout.write(visible(text));
          },
        });
        if (isShown) {
          process.stdout.write('\n');
          progress.note(summary(report));
        }
        return { document: report, text: '' };
      }),
    );
}

function summary({ tokens, finish, seconds, tokensPerSecond }: GenerateReport): string {
  const end = finish === 'length' ? ', all that it could have' : '';
  return `${tokens} tokens${end}, ${seconds.toFixed(1)} s, ${tokensPerSecond.toFixed(1)} tokens/s`;
}

type RequiredTexts = Parameters<typeof resolveGenerateOptions>[0];
