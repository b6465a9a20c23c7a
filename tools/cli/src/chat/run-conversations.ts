import { randomInt } from 'node:crypto';
import { basename, resolve } from 'node:path';
import process from 'node:process';
import { ImagePool } from '@emloc/images';
import {
  modelKind,
  resolveChatOptions,
  withTextGenerator,
  type OptionsOf,
  type TextGenerator,
} from '@emloc/pipeline';

import type { CommandResult, CommandTools } from '../command/define-command.js';
import { checkOptions } from '../exit-code.js';
import { targetOf } from '../flags/device.js';
import type { GenerateValues } from '../flags/generate.js';
import { withModelFolder } from '../model-folder.js';
import { UsageError } from '../usage-error.js';
import type { ChatSettings } from './answer-question.js';
import { chat } from './chat.js';
import type { GenerateMode } from './mode.js';
import { addressOf, type ServeAddress } from './serve-address.js';
import { serveChat } from './serve-chat.js';

type ChatOptions = ReturnType<typeof resolveChatOptions>;

/** What `generate` was called with. */
interface Called extends CommandTools {
  readonly options: Partial<OptionsOf<'generate'>> & { readonly model: string };
  readonly values: GenerateValues;
}

/** Opens the model, and answers on the terminal or over HTTP until it is ended. */
export async function runConversations(
  mode: Exclude<GenerateMode, 'prompt'>,
  called: Called,
): Promise<CommandResult> {
  const { values, progress, signal } = called;
  const resolved = checkOptions(() => resolveChatOptions(called.options));
  const target = targetOf(values);
  const address = addressOf(values);
  const options = await withModelFolder(resolved, called);
  if ((await modelKind(options.model)) === 'pictures')
    throw new UsageError(`--${mode}: this model makes pictures; only --prompt goes with it`);
  const host = {
    ...{ target, signal, openImages: () => new ImagePool() },
    onNotice: (message: string) => progress.observe({ type: 'notice', message }),
  };
  const settings = settingsOf(options, called.options.seed ?? null);
  return withTextGenerator(options, host, (generator) =>
    mode === 'chat'
      ? onTerminal(generator, { ...settings, system: options.system }, called)
      : overHttp(generator, { settings, options, address, id: idOf(resolved, options) }, called),
  );
}

/** Without `--seed` every answer has one of its own, so that a question asked again is open. */
function settingsOf(
  { maxNewTokens, temperature, topP }: ChatOptions,
  seed: number | null,
): ChatSettings {
  return { maxNewTokens, temperature, topP, nextSeed: () => seed ?? randomInt(2 ** 47) };
}

async function onTerminal(
  generator: TextGenerator,
  settings: ChatSettings & { readonly system: string | null },
  { json, progress, signal }: Called,
): Promise<CommandResult> {
  if (!generator.hasTemplate)
    throw new UsageError(
      '--chat: the model folder has no chat template; give one by --chat-template, or use --prompt',
    );
  const { stdin: input, stdout: output } = process;
  const isTerminal = input.isTTY && output.isTTY && !json;
  if (isTerminal)
    progress.note(
      `context: ${generator.contextTokens} tokens; /help shows commands, Ctrl-C interrupts an answer, Ctrl-D ends`,
    );
  const turns = await chat(generator, settings, {
    ...{ input, output, isTerminal, isShown: !json, signal },
    note: (text) => progress.note(text),
  });
  const { date, contextTokens, budgetBytes, peakDeviceBytes } = generator;
  return { document: { turns, date, contextTokens, budgetBytes, peakDeviceBytes }, text: '' };
}

async function overHttp(
  generator: TextGenerator,
  {
    settings,
    options,
    address,
    id,
  }: {
    readonly settings: ChatSettings;
    readonly options: ChatOptions;
    readonly address: ServeAddress;
    readonly id: string;
  },
  { progress, signal, show }: Called,
): Promise<CommandResult> {
  const { contextTokens, budgetBytes } = generator;
  await serveChat(
    generator,
    { ...{ ...address, id, settings }, fetchesImages: options.remoteImages },
    {
      ...{ signal, note: (text) => progress.note(text) },
      onListening: ({ url, port }) =>
        show({
          document: { url, port, model: id, contextTokens, budgetBytes },
          text: `${id} answers at ${url}, with a context of ${contextTokens} tokens, until Ctrl-C`,
        }),
    },
  );
  return {};
}

/** What requests call the model: the adapter's folder, or the model's, or its name on the hub. */
function idOf(given: ChatOptions, { model: folder, adapter }: ChatOptions): string {
  if (adapter !== null) return basename(resolve(adapter));
  return resolve(given.model) === resolve(folder) ? basename(resolve(folder)) : given.model;
}
