import { writePieceModel } from '@emloc/dataset/testing';
import {
  convertBytePairs,
  convertPieces,
  JsonPart,
  listedTokens,
  tokenizerClassOf,
  type TokenizerFiles,
} from '@emloc/dataset/tokenizers';

import type { Variant } from './compare.js';
import { readRealTokenizer, type JsonObject } from './packages.js';
import { createTexts } from './texts.js';

/** The parts of a real tokenizer.json that are read here. */
interface RealDefinition {
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
  readonly added_tokens: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
}

/**
 * Real tokenizers from files as they were before tokenizer.json, written here: SentencePiece
 * models, vocab.json and merges.txt. The reference reads tokenizer.json.
 */
export function* fileVariants(): Iterable<Variant> {
  for (const [name, special] of [
    ['llama2', ['<s>', '</s>']],
    ['gemma3', ['<bos>', '<start_of_turn>', '\n\n', '▁▁▁']],
    ['qwen3', ['<|im_start|>', '<|endoftext|>']],
  ] as const) {
    const { definition, config } = readRealTokenizer(name);
    yield {
      name: `${name}, older files`,
      definition,
      texts: createTexts(special),
      files: () => olderFiles(definition, config),
    };
  }
}

function olderFiles(definition: JsonObject, config: JsonObject): TokenizerFiles {
  const real = definition as unknown as RealDefinition;
  const part = new JsonPart(config, 'tokenizer_config.json');
  const reading = tokenizerClassOf(part, new JsonPart({}, 'config.json'));
  if (reading.kind === 'byte pairs') {
    const files = { vocabulary: real.model.vocab, merges: mergesText(real) };
    return { ...convertBytePairs(files, reading, part), config };
  }
  const { byId } = listedTokens(part, new JsonPart({}, 'added_tokens.json'));
  const options = { config: part, listed: byId, file: reading.file };
  const model = writePieceModel({ pieces: piecesOf(real), modelType: 2 });
  return { ...convertPieces(model, reading, options), config };
}

function mergesText({ model }: RealDefinition): string {
  const lines = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return `#version: 0.2\n${lines.join('\n')}\n`;
}

/** The score of a piece falls with its first merge, and is 0 for all that is set. */
function piecesOf({ model, added_tokens }: RealDefinition): (readonly [string, number, number])[] {
  const added = new Map(added_tokens.map(({ content, special }) => [content, special ? 3 : 4]));
  const ranks = ranksOf(model.merges);
  const byId = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  return byId.map(([text]) => {
    if (text === '<unk>') return [text, 0, 2] as const;
    if (/^<0x[0-9A-F]{2}>$/.test(text)) return [text, 0, 6] as const;
    const type = added.get(text);
    return [text, type === undefined ? -(ranks.get(text) ?? 2 ** 23) : 0, type ?? 1] as const;
  });
}

/** Where each token is made first. */
function ranksOf(merges: RealDefinition['model']['merges']): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  merges.forEach((merge, rank) => {
    const text = typeof merge === 'string' ? merge.replace(' ', '') : merge.join('');
    if (!ranks.has(text)) ranks.set(text, rank);
  });
  return ranks;
}
