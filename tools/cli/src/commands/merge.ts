import { resolve } from 'node:path';
import { mergeCheckpoint, readPeftAdapter } from '@emloc/checkpoint';
import { formatBytes } from '@emloc/device';
import type { Command } from 'commander';

import { addFlags, commonFlags } from '../flags.js';
import { runCommand } from '../run-command.js';
import { UsageError } from '../usage-error.js';

const dtypes = ['bfloat16', 'float16', 'float32'] as const;

export function addMergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .description('write a checkpoint with an adapter merged into the weights')
    .option('--model <dir>', 'checkpoint folder (Hugging Face layout)')
    .option('--adapter <dir>', 'PEFT adapter')
    .option('--out <dir>', 'folder of the merged checkpoint')
    .option('--dtype <name>', `${dtypes.join(', ')} (default: the checkpoint's)`);
  addFlags(command, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc merge --model ./base --adapter ./my-adapter --out ./merged',
    )
    .action(
      runCommand(['model', 'adapter', 'out'], async ({ values, progress, signal }) => {
        const [model, folder, out] = [values['model'], values['adapter'], values['out']] as [
          string,
          string,
          string,
        ];
        const report = await mergeCheckpoint({
          model,
          out,
          dtype: dtypeOf(values['dtype']),
          signal,
          adapter: await readPeftAdapter(folder, { base: model }),
          onProgress: ({ phase, doneBytes, totalBytes }) =>
            progress.update(phase, doneBytes, totalBytes),
        });
        return {
          document: report,
          text: `merged ${report.mergedLayers} layers into ${resolve(out)} (${formatBytes(report.tensorBytes)}, verified)`,
        };
      }),
    );
}

function dtypeOf(name: unknown): (typeof dtypes)[number] | undefined {
  if (name === undefined) return undefined;
  const dtype = dtypes.find((known) => known === name);
  if (!dtype) throw new UsageError(`--dtype ${String(name)}: expected ${dtypes.join(', ')}`);
  return dtype;
}
