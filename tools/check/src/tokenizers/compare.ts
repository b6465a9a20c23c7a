import { at } from '@emloc/checked';
import {
  createTokenizer,
  type Encoding,
  type Tokenizer,
  type TokenizerFiles,
} from '@emloc/dataset/tokenizers';

import type { JsonObject } from './packages.js';
import {
  createReference,
  type Reference,
  type ReferenceEncoding,
  type TokenToAdd,
} from './reference.js';

/** A tokenizer that both sides read, and what is in its files only for ours. */
export interface Variant {
  readonly name: string;
  readonly definition: JsonObject;
  readonly config?: JsonObject;
  readonly addedTokens?: JsonObject;
  /** What the configuration adds, in order, for the reference. */
  readonly toAdd?: readonly TokenToAdd[];
  readonly texts: readonly string[];
  /** Other files that ours is made of, in place of the definition. */
  readonly files?: () => TokenizerFiles;
}

export interface Counts {
  equal: number;
  wrong: number;
}

/** Prints what differs, at most three texts a tokenizer. */
export async function compare(variant: Variant, counts: Counts): Promise<void> {
  const { definition, config = {}, addedTokens } = variant;
  const { files = () => ({ definition, config, addedTokens }) } = variant;
  const reference = attempt(() => createReference(definition, variant.toAdd));
  const ours = attempt(() => createTokenizer(files()));
  if (!('value' in reference) || !('value' in ours)) {
    const same = !('value' in reference) && !('value' in ours);
    report(
      variant,
      counts,
      same ? undefined : `load: ${describe(ours)}, right: ${describe(reference)}`,
    );
    return;
  }
  let told = 0;
  for (const text of variant.texts) {
    const difference = await compareText(text, ours.value, reference.value);
    if (difference !== undefined) told += 1;
    report(variant, counts, difference, told > 3);
  }
}

function report({ name }: Variant, counts: Counts, difference?: string, quiet = false): void {
  if (difference === undefined) counts.equal += 1;
  else {
    counts.wrong += 1;
    if (!quiet) console.log(`WRONG ${name}: ${difference}`);
  }
}

type Attempt<T> = { readonly value: T } | { readonly error: unknown };

function attempt<T>(work: () => T): Attempt<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

function describe(result: Attempt<unknown>): string {
  return 'value' in result ? 'loaded' : `refused (${String(result.error)})`;
}

async function compareText(
  text: string,
  ours: Tokenizer,
  reference: Reference,
): Promise<string | undefined> {
  const right = await reference.encode(text).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const seen = attempt(() => ours.encode(text));
  if (!('value' in right) || !('value' in seen))
    return 'value' in right === 'value' in seen
      ? undefined
      : `${JSON.stringify(text)}: ${describe(seen)}, right: ${describe(right)}`;
  return (
    differenceOf(text, seen.value, right.value) ??
    (await decodeDifference(text, right.value.ids, ours, reference))
  );
}

function differenceOf(text: string, seen: Encoding, right: ReferenceEncoding): string | undefined {
  const points = codePointOffsets(text);
  const ours = JSON.stringify({
    ids: [...seen.ids],
    offsets: [...seen.ids].map((_, i) => [points[at(seen.starts, i)], points[at(seen.ends, i)]]),
  });
  const theirs = JSON.stringify({ ids: right.ids, offsets: right.offsets });
  return ours === theirs ? undefined : `${JSON.stringify(text)}\n  ${ours}\n  ${theirs}`;
}

/** The code point that begins at each UTF-16 unit, or that is cut there. */
function codePointOffsets(text: string): readonly number[] {
  const offsets: number[] = [];
  let count = 0;
  for (const character of text) {
    for (let unit = 0; unit < character.length; unit += 1) offsets.push(count);
    count += 1;
  }
  return [...offsets, count];
}

async function decodeDifference(
  text: string,
  ids: readonly number[],
  ours: Tokenizer,
  reference: Reference,
): Promise<string | undefined> {
  for (const skipSpecialTokens of [false, true]) {
    const right = await reference.decode(ids, skipSpecialTokens).catch(() => undefined);
    const seen = ours.decode(ids, { skipSpecialTokens });
    if (right !== undefined && seen !== right)
      return `decoding ${JSON.stringify(text)}\n  ${JSON.stringify(seen)}\n  ${JSON.stringify(right)}`;
  }
  return undefined;
}
