import { homedir } from 'node:os';
import process from 'node:process';
import { hubSettings, resolveModel, type ModelHost } from '@emloc/hub';

import type { CommandTools } from './command/define-command.js';
import { programVersion } from './version.js';

type Shown = Pick<CommandTools, 'progress' | 'signal'>;

const mebibyte = 2 ** 20;

/** How this command asks a hub, with a bar for what is downloaded. */
export function hubHost(model: string, { progress, signal }: Shown): ModelHost {
  return {
    settings: () => hubSettings(process.env, homedir()),
    program: `emloc/${programVersion}`,
    signal,
    onNotice: (message) => progress.observe({ type: 'notice', message }),
    onProgress: (done, total) =>
      progress.update(
        `downloading ${model}, MiB`,
        Math.floor(done / mebibyte),
        Math.ceil(total / mebibyte),
      ),
  };
}

/**
 * The folder of what `--model` names: a folder, or a model of a hub, of which is downloaded what
 * the cache has not.
 * @throws HubError
 */
export async function modelFolder(model: string, shown: Shown): Promise<string> {
  const { folder, hub } = await resolveModel(model, hubHost(model, shown));
  shown.progress.stop();
  if (hub) shown.progress.note(`model ${hub.name}, commit ${hub.commit}`);
  return folder;
}

/** Options with the folder of their model in place of its name. */
export async function withModelFolder<O extends { readonly model: string }>(
  options: O,
  shown: Shown,
): Promise<O> {
  return { ...options, model: await modelFolder(options.model, shown) };
}
