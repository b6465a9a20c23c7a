import { optionsFor, type OptionsOf } from '@emloc/pipeline';

import type { GenerateValues } from '../flags/generate.js';
import { UsageError } from '../usage-error.js';

/** What `generate` is asked for: one answer or picture, a conversation, or a server. */
export type GenerateMode = 'prompt' | 'chat' | 'serve';

type GivenOptions = Partial<OptionsOf<'generate'>>;

/** @throws UsageError for flags that do not go together */
export function modeOf(values: GenerateValues, options: GivenOptions): GenerateMode {
  const asked = [
    ...(values.chat ? ['chat' as const] : []),
    ...(values.serve ? ['serve' as const] : []),
    ...((options.prompt ?? '') === '' ? [] : ['prompt' as const]),
  ];
  const [mode, other] = asked;
  if (mode === undefined) throw new UsageError('missing: --prompt, --chat or --serve (see --help)');
  if (other !== undefined) throw new UsageError(`--${mode} and --${other} cannot be used together`);
  if (mode !== 'serve') assertNoneOf(mode, servingFlags(values));
  if (mode !== 'prompt') assertNoneOf(mode, foreignFlags(mode, options));
  return mode;
}

function assertNoneOf(mode: GenerateMode, flags: readonly string[]): void {
  const [flag] = flags;
  if (flag !== undefined) throw new UsageError(`${flag} means nothing with --${mode}`);
}

function servingFlags({ host, port, apiKeyFile }: GenerateValues): readonly string[] {
  return [
    ...(host === undefined ? [] : ['--host']),
    ...(port === undefined ? [] : ['--port']),
    ...(apiKeyFile === undefined ? [] : ['--api-key-file']),
  ];
}

/** Those of one answer; a server is told in each request what the model is told before. */
function foreignFlags(mode: 'chat' | 'serve', options: GivenOptions): readonly string[] {
  const known = new Set(optionsFor('chat').map(({ name }) => name));
  if (mode === 'serve') known.delete('system');
  return optionsFor('generate')
    .filter(({ name }) => name !== 'prompt' && name in options && !known.has(name))
    .map(({ flag }) => flag.replace(/ .*/, ''));
}
