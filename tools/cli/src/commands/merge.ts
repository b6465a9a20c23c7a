import { resolve } from 'node:path';
import { assertMergePlace, mergeCheckpoint, readAdapter, settleOutput } from '@emloc/checkpoint';
import { formatBytes } from '@emloc/device';

import { defineCommand } from '../command/define-command.js';
import { switchFlag } from '../command/flag.js';
import { tableOptions } from '../flags/options.js';
import { modelFolder } from '../model-folder.js';

export const command = defineCommand({
  options: tableOptions('merge', 'model', 'adapter', 'out'),
  flags: {
    overwrite: switchFlag('--overwrite', 'replace a merged checkpoint that is there already'),
  },
  examples: ['merge --model ./base --adapter ./my-adapter --out ./merged'],
  run: async ({ options, values: { overwrite }, progress, signal }) => {
    const { model, adapter, out, dtype, allowUnusedLayers } = options;
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
      adapter: await readAdapter(adapter, { base: folder, signal }),
      onProgress: ({ phase, doneBytes, totalBytes }) =>
        progress.update(phase, doneBytes, totalBytes),
    });
    for (const message of report.notices) progress.observe({ type: 'notice', message });
    return {
      document: report,
      text: `merged ${report.mergedLayers} layers into ${resolve(out)} (${formatBytes(report.tensorBytes)}, verified)`,
    };
  },
});
