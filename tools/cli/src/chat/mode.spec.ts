import type { OptionsOf } from '@emloc/pipeline';

import type { GenerateValues } from '../flags/generate.js';
import { modeOf } from './mode.js';

const none: GenerateValues = {
  ...{ device: undefined, threads: undefined, chat: false, serve: false },
  ...{ host: undefined, port: undefined, apiKeyFile: undefined },
};
const mode = (
  values: Partial<GenerateValues>,
  options: Partial<OptionsOf<'generate'>> = {},
): string => modeOf({ ...none, ...values }, { model: 'm', ...options });

describe('what generate is asked for', () => {
  it('is one answer, a conversation or a server', () => {
    expect(mode({}, { prompt: 'Hi', images: ['a.png'] })).toBe('prompt');
    expect(mode({ chat: true }, { system: 'Be brief', temperature: 1, context: 99 })).toBe('chat');
    expect(mode({ serve: true, port: 0, host: '::1' }, { adapter: 'a', seed: 3 })).toBe('serve');
  });

  it.each<[string, Partial<GenerateValues>, Partial<OptionsOf<'generate'>>, RegExp]>([
    ['nothing', {}, {}, /missing: --prompt, --chat or --serve/],
    ['an empty prompt', {}, { prompt: '' }, /missing: --prompt/],
    ['two at once', { chat: true, serve: true }, {}, /--chat and --serve cannot/],
    ['a prompt, too', { chat: true }, { prompt: 'Hi' }, /--chat and --prompt cannot/],
    ['a port of no server', { chat: true, port: 1 }, {}, /--port means nothing with --chat/],
    ['a key of no server', { apiKeyFile: 'k' }, { prompt: 'a' }, /--api-key-file means nothing/],
    ['an image of no prompt', { chat: true }, { images: ['a.png'] }, /--image means nothing/],
    ['a picture', { serve: true }, { imageOut: 'a.png' }, /--out means nothing with --serve/],
    [
      'a system turn of all',
      { serve: true },
      { system: 'a' },
      /--system means nothing with --serve/,
    ],
  ])('is refused: %s', (_name, values, options, message) => {
    expect(() => mode(values, options)).toThrow(expect.objectContaining({ code: 'CLI_USAGE' }));
    expect(() => mode(values, options)).toThrow(message);
  });
});
