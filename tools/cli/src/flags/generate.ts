import { parsedFlag, switchFlag, textFlag, wholeNumber, type ValuesOf } from '../command/flag.js';
import { deviceFlags } from './device.js';

/** Flags of `generate` that are no options of an answer. */
export const generateFlags = {
  ...deviceFlags,
  chat: switchFlag('--chat', 'answer what is typed, line by line, as a conversation'),
  serve: switchFlag(
    '--serve',
    "answer over HTTP in the form of OpenAI's API, until Ctrl-C: /v1/chat/completions",
  ),
  host: textFlag(
    '--host <host>',
    'with --serve: address to listen on; others than loopback need --api-key-file (default: 127.0.0.1)',
  ),
  port: parsedFlag(
    '--port <n>',
    'with --serve: port to listen on; 0: a free one (default: 8080)',
    wholeNumber(0, 65_535),
  ),
  apiKeyFile: textFlag(
    '--api-key-file <file>',
    'with --serve: file that holds the key that clients show as a bearer token (default: none is needed)',
  ),
};

export type GenerateValues = ValuesOf<typeof generateFlags>;
