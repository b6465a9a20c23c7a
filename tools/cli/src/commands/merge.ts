import { resolve } from 'node:path';
import { assertMergePlace, mergeCheckpoint, readAdapter, settleOutput } from '@emloc/checkpoint';
import { formatBytes } from '@emloc/device';
import type { OptionsOf } from '@emloc/pipeline';
import type { Command } from 'commander';

import { addFlags, commonFlags, optionFlags, optionValues } from '../flags.js';
import { modelFolder } from '../model-folder.js';
import { runCommand } from '../run-command.js';

export function addMergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .description('write a checkpoint with an adapter merged into the weights');
  addFlags(command, optionFlags('merge')).option(
    '--overwrite',
    'replace a merged checkpoint that is there already',
  );
  addFlags(command, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc merge --model ./base --adapter ./my-adapter --out ./merged',
    )
    .action(
      runCommand(['model', 'adapter', 'out'], async ({ values, progress, signal }) => {
        const { model, adapter, out, dtype, allowUnusedLayers } = optionValues(
          'merge',
          values,
        ) as RequiredPaths;
        const overwrite = values['overwrite'] === true;
        await assertMergePlace(out, { overwrite });
        await settleOutput(adapter);
        const folder = await modelFolder(model, { progress, signal });
        const report = await mergeCheckpoint({
          model: folder,
          out,
          allowUnusedLayers,
          overwrite,
          dtype: dtype ?? undefined,
          signal,
          adapter: await readAdapter(adapter, { base: folder }),
          onProgress: ({ phase, doneBytes, totalBytes }) =>
            progress.update(phase, doneBytes, totalBytes),
        });
        for (const message of report.notices) progress.observe({ type: 'notice', message });
        return {
          document: report,
          text: `merged ${report.mergedLayers} layers into ${resolve(out)} (${formatBytes(report.tensorBytes)}, verified)`,
        };
      }),
    );
}

type RequiredPaths = Partial<OptionsOf<'merge'>> &
  Readonly<Record<'model' | 'adapter' | 'out', string>>;
