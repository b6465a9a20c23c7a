import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer, type ChatTokenizer } from '@emloc/dataset';
import { fixtureNames, unpackFixture } from '@emloc/golden-models';

/** The rows of every fixture's embedding. */
const vocabularySize = 384;

describe('the tokenizer of the fixtures', () => {
  let tokenizer: ChatTokenizer;
  beforeAll(async () => {
    const { folder, close } = await unpackFixture('granite-tied', { tokenizer: true });
    const options = { date: '2024-01-01', chatTemplate: null, templateArguments: null };
    tokenizer = await loadTokenizer(folder, { ...options, vocabularySize });
    await close();
  });

  it('has all 384 ids and no other', () => {
    const texts = Array.from({ length: vocabularySize }, (_, id) => tokenizer.decode([id]));

    // Bytes that are no characters by themselves look alike.
    expect(new Set(texts).size).toBeGreaterThan(vocabularySize - 128);
    expect(texts.at(-1)).not.toBe('');
    expect(tokenizer.decode([vocabularySize])).toBe('');
  });

  it.each(['the device and the model', 'naïve 中文 😀\n\t"quoted"', ' \0\x7f\u00ad'])(
    'gives back %j',
    (text) => {
      const { ids } = tokenizer.encode(text);

      expect(tokenizer.decode(ids)).toBe(text);
      expect(Math.max(...ids)).toBeLessThan(vocabularySize);
    },
  );

  it.each(fixtureNames())('is for %s', async (name) => {
    const { folder, close } = await unpackFixture(name);
    const config = await readFile(join(folder, 'config.json'), 'utf8');
    await close();

    expect(config).toContain(`"vocab_size": ${vocabularySize}`);
    expect(config).toContain('"eos_token_id": 2');
  });

  it('joins letters of common words', () => {
    expect(tokenizer.encode('the device and the model').ids.length).toBeLessThan(10);
  });

  it('ends a turn with the end token of the config', () => {
    expect(tokenizer.eosTokenIds).toEqual([2]);
    expect([...tokenizer.encode('<|start|>a<|end|>').ids].filter((id) => id < 6)).toEqual([1, 2]);
  });
});
