import { fileURLToPath } from 'node:url';

import { tokenizerOf } from '../../test/model-folder.js';
import { writePieceModel } from '../testing/index.js';
import { loadTokenizer, type ChatTokenizer } from './chat-tokenizer.js';
import { TextStream } from './text-stream.js';

const options = { date: '2026-01-31', chatTemplate: null, templateArguments: null };
const demo = fileURLToPath(new URL('../../../../examples/models/demo-5m', import.meta.url));

function partsOf(tokenizer: ChatTokenizer, ids: Iterable<number>): string[] {
  const stream = new TextStream(tokenizer);
  const parts = [...ids].map((id) => stream.add(id));
  return [...parts, stream.end()];
}

describe('a text that comes token by token', () => {
  it.each([
    'plain words, and  two spaces\n\n\tand a tab',
    'naïve café, 日本語 und 한국어',
    'families 👩‍👩‍👧 and flags 🇪🇺🇯🇵',
  ])('is that of all tokens, without half a character: %j', async (text) => {
    const tokenizer = await loadTokenizer(demo, options);
    const { ids } = tokenizer.encode(text);
    const parts = partsOf(tokenizer, ids);
    expect(parts.join('')).toBe(text);
    expect(parts.filter((part) => part !== '').length).toBeGreaterThan(3);
    for (const part of parts) expect(part).not.toContain('\ufffd');
  });

  it('shows at the end what never became a character', async () => {
    const tokenizer = await loadTokenizer(demo, options);
    const { ids } = tokenizer.encode('a日');
    const parts = partsOf(tokenizer, ids.slice(0, -1));
    expect(parts.join('')).toBe(tokenizer.decode(ids.slice(0, -1)));
    expect(parts.at(-1)).toContain('\ufffd');
  });

  it('leaves special tokens out', async () => {
    const tokenizer = await loadTokenizer(demo, options);
    const { ids } = tokenizer.encode('yes');
    const [end = 0] = tokenizer.eosTokenIds;
    expect(partsOf(tokenizer, [end, ...ids, end]).join('')).toBe('yes');
  });

  it('keeps the spaces of a tokenizer of pieces, whose first one is not shown', async () => {
    const words = ['▁the', '▁cat', '▁', '▁is'].map((word) => [word, -1, 1] as const);
    const bytes = [0xc3, 0xa9].map(
      (byte) => [`<0x${byte.toString(16).toUpperCase()}>`, 0, 6] as const,
    );
    const pieces = [['<unk>', 0, 2] as const, ...words, ...bytes];
    const tokenizer = await tokenizerOf({
      'tokenizer.model': writePieceModel({ pieces, modelType: 1 }),
      'config.json': { model_type: 'llama' },
    });
    const ids = [1, 2, 3, 5, 6, 1, 4];
    expect(tokenizer.decode(ids)).toBe('the cat é the is');
    expect(partsOf(tokenizer, ids).join('')).toBe(tokenizer.decode(ids));
  });
});
