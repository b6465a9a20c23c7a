import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { MergeTable } from './merge-table.js';
import { PairFilter } from './pair-filter.js';
import { Vocabulary } from './vocabulary.js';

/** What a BPE model of tokenizer.json says, checked. */
export interface BpeRules {
  readonly vocabulary: Vocabulary;
  readonly merges: MergeTable;
  /** Pairs of characters that a merge can bring together in one token. */
  readonly joins: PairFilter;
  readonly unknownToken: string | undefined;
  readonly prefix: string;
  readonly suffix: string;
  readonly fuseUnknown: boolean;
  readonly byteFallback: boolean;
  readonly ignoreMerges: boolean;
}

/** @throws TokenizerError */
export function readBpeRules(part: JsonPart): BpeRules {
  const dropout = part.get('dropout');
  if (!dropout.isAbsent && dropout.number !== 0)
    dropout.fail('tokens would be left to chance; only null and 0 can be used');
  const vocabulary = Vocabulary.read(part.get('vocab'));
  const prefix = part.get('continuing_subword_prefix').optionalText ?? '';
  return {
    vocabulary,
    ...readMerges(part.get('merges'), vocabulary, prefix),
    unknownToken: part.get('unk_token').optionalText,
    prefix,
    suffix: part.get('end_of_word_suffix').optionalText ?? '',
    fuseUnknown: part.get('fuse_unk').flagOr(false),
    byteFallback: part.get('byte_fallback').flagOr(false),
    ignoreMerges: part.get('ignore_merges').flagOr(false),
  };
}

function readMerges(
  part: JsonPart,
  vocabulary: Vocabulary,
  prefix: string,
): Pick<BpeRules, 'merges' | 'joins'> {
  const { value } = part;
  if (!Array.isArray(value)) return part.fail('must be a list of merges');
  const merges = new MergeTable(value.length);
  const joins = new PairFilter();
  let rank = 0;
  (value as readonly unknown[]).forEach((entry, i) => {
    if (typeof entry === 'string' && entry.startsWith('#version')) return;
    const [left, right] = pairOf(entry) ?? part.fail(`[${i}] must be two tokens`);
    const rest = right.slice(prefix.length);
    const idOf = (token: string): number =>
      vocabulary.idOf(token) ?? part.fail(`[${i}]: ${quote(token)} is not in the vocabulary`);
    merges.set(idOf(left), idOf(right), rank, idOf(left + rest));
    joins.addEnds(left, rest);
    rank += 1;
  });
  return { merges, joins };
}

function pairOf(entry: unknown): readonly [string, string] | undefined {
  const parts: readonly unknown[] | undefined =
    typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? entry : undefined;
  const [left, right] = parts ?? [];
  return parts?.length === 2 && typeof left === 'string' && typeof right === 'string'
    ? [left, right]
    : undefined;
}
