import { homedir } from 'node:os';
import process from 'node:process';
import { hubSettings, resolveModel } from '@emloc/hub';

import type { CommandContext } from './run-command.js';
import { programVersion } from './version.js';

const mebibyte = 2 ** 20;

/**
 * The folder of what `--model` names: a folder, or a model of a hub, of which is downloaded what
 * the cache has not.
 * @throws HubError
 */
export async function modelFolder(
  model: string,
  { progress, signal }: Pick<CommandContext, 'progress' | 'signal'>,
): Promise<string> {
  const { folder, hub } = await resolveModel(model, {
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
  });
  progress.stop();
  if (hub) progress.note(`model ${hub.name}, commit ${hub.commit}`);
  return folder;
}

/** Options with the folder of their model in place of its name. */
export async function withModelFolder<O extends { readonly model: string }>(
  options: O,
  context: Pick<CommandContext, 'progress' | 'signal'>,
): Promise<O> {
  return { ...options, model: await modelFolder(options.model, context) };
}
