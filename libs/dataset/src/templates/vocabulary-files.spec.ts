import { tokenizerOf } from '../../test/model-folder.js';
import { modelFile } from '../../test/vocabulary-golden.js';
import { writePieceModel, type WrittenPieceModel } from '../testing/write-piece-model.js';
import type { ChatTokenizer } from './chat-tokenizer.js';

describe('a SentencePiece model', () => {
  const pieces: WrittenPieceModel['pieces'] = [
    ['<unk>', 0, 2],
    ['<s>', 0, 3],
    ['</s>', 0, 3],
    ['a', -1, 1],
    ['aa', -2, 1],
  ];
  const load = (
    model: Partial<WrittenPieceModel> | Uint8Array | string,
    file = 'tokenizer.model',
  ): Promise<ChatTokenizer> =>
    tokenizerOf({
      [file]:
        typeof model === 'string' || model instanceof Uint8Array
          ? model
          : writePieceModel({ pieces, modelType: 2, ...model }),
      'config.json': { model_type: 'llama' },
    });

  it('is unigram where it does not say, and reads unknown characters as its unknown piece', async () => {
    const tokenizer = await load({ modelType: undefined });
    expect([...tokenizer.encode('aaz').ids].slice(1)).toEqual([4, 0]);
  });

  it.each<[string, Partial<WrittenPieceModel> | Uint8Array | string, string]>([
    ['of words', { modelType: 3 }, 'trainer_spec.model_type: WORD cannot be used, only BPE and'],
    ['with spaces at the ends', { spaceIsSuffix: true }, 'treat_whitespace_as_suffix: cannot be'],
    ['that keeps spaces', { escapesSpaces: false }, 'escape_whitespaces: must be true'],
    ['without pieces', { pieces: [] }, 'pieces: there are none'],
    ['with an empty piece', { pieces: [...pieces, ['', 0, 1]] }, 'pieces[5]: is empty'],
    [
      'with a piece twice',
      { pieces: [...pieces, ['a', 0, 1]] },
      'pieces[5]: "a" stands there twice',
    ],
    [
      'with a score that is no number',
      { pieces: [...pieces, ['b', Infinity, 1]] },
      'pieces[5]: the score of "b" is Infinity',
    ],
    ['with an unknown piece beyond the last', { unknownId: 5 }, 'unk_id: is 5, there are 5 pieces'],
    [
      'with a piece of two thousand characters',
      { pieces: [...pieces, ['a'.repeat(2000), 0, 1]] },
      'pieces: one has 2000 characters, the limit is 1024',
    ],
    [
      'with a broken table',
      { characterMap: new Uint8Array([9, 9, 9, 9]) },
      'normalizers[0].precompiled_charsmap: is no table of replacements',
    ],
    ['that was cut', modelFile('llama').subarray(0, 3000), 'is not a whole SentencePiece model'],
    ['that is text', 'not a model', 'is not a whole SentencePiece model'],
    ['in the format of tiktoken', 'IQ== 0\nIg== 1\n', 'is a tiktoken vocabulary, not a Sentence'],
    [
      'that was not downloaded',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n',
      'is a Git LFS pointer',
    ],
  ])('%s is refused by name', async (_, model, message) => {
    const isTable = typeof model === 'object' && 'characterMap' in model;
    const loading = isTable
      ? tokenizerOf({
          'spiece.model': writePieceModel({ pieces, ...model }),
          'tokenizer_config.json': { tokenizer_class: 'T5Tokenizer' },
        })
      : load(model);
    await expect(loading).rejects.toMatchObject({
      code: 'DATASET_TOKENIZER_INVALID',
      message: expect.stringContaining(message) as string,
    });
    await expect(loading).rejects.toThrow(isTable ? 'spiece.model' : 'tokenizer.model');
  });
});

describe('merges.txt', () => {
  const load = (merges: string): Promise<ChatTokenizer> =>
    tokenizerOf({
      'vocab.json': { a: 0, b: 1, ab: 2, '<|endoftext|>': 3 },
      'merges.txt': merges,
      'tokenizer_config.json': { tokenizer_class: 'GPT2Tokenizer' },
    });

  it('may have a version, line ends of Windows and empty lines', async () => {
    const tokenizer = await load('#version: 0.2\r\na b\r\n\r\n');
    expect([...tokenizer.encode('ab').ids]).toEqual([2]);
  });

  it.each([
    ['a b c', 'merges.txt: line 1: must be two tokens, is "a b c"'],
    ['#version: 0.2\na b\nab', 'merges.txt: line 3: must be two tokens, is "ab"'],
    ['a c', 'merges.txt: line 1: "c" is not in vocab.json'],
    ['b a', 'merges.txt: line 1: "ba" is not in vocab.json'],
  ])('with %j is refused by its line', async (merges, message) => {
    await expect(load(merges)).rejects.toThrow(message);
  });
});
