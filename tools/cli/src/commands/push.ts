import { resolve } from 'node:path';
import { settleOutput } from '@emloc/checkpoint';
import { pushFolder } from '@emloc/hub/push';

import { defineCommand } from '../command/define-command.js';
import { switchFlag, textFlag } from '../command/flag.js';
import { hubHost } from '../model-folder.js';
import { pushLines } from '../output/push-lines.js';

const mebibyte = 2 ** 20;

export const command = defineCommand({
  argument: { name: '<folder>', help: 'folder of an adapter or of a merged checkpoint' },
  target: { name: '<name>', help: 'OWNER/NAME on the hub; made there if need be' },
  flags: {
    public: switchFlag('--public', 'everybody may read it (default: private)'),
    revision: textFlag('--revision <branch>', 'where it goes; made if need be (default: main)'),
    message: textFlag('--message <text>', 'of the commit (default: what is sent, and by what)'),
  },
  notes:
    'Sends the files of the adapter or checkpoint and nothing else that is in the folder, in one commit. HF_TOKEN must allow to write.',
  examples: [
    'push ./my-adapter me/my-adapter',
    'push ./merged me/my-model --public --revision v2 --message "With more data"',
  ],
  run: async ({ argument, target, values, progress, signal }) => {
    const folder = resolve(argument);
    const { settings, program, onNotice = () => undefined } = hubHost(target, { progress, signal });
    const given = settings();
    await settleOutput(folder);
    const pushed = await pushFolder(
      {
        folder,
        name: target,
        revision: values.revision ?? null,
        message: values.message ?? null,
        isPublic: values.public,
      },
      {
        settings: given,
        program,
        signal,
        onNotice,
        onProgress: ({ phase, doneBytes, totalBytes }) =>
          progress.update(
            `${phase} for ${target}, MiB`,
            Math.floor(doneBytes / mebibyte),
            Math.ceil(totalBytes / mebibyte),
          ),
      },
    );
    return { document: pushed, text: pushLines(pushed) };
  },
});
