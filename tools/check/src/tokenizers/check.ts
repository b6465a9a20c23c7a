import { compare, type Counts, type Variant } from './compare.js';
import { fileVariants } from './file-variants.js';
import { realTokenizers } from './packages.js';
import { realVariants } from './real-variants.js';
import { smallVariants } from './small-variants.js';

/**
 * Compares ids, ranges and decoded texts with those of the Rust package, for real tokenizers,
 * variants of them, the older files that some of them come from, and small ones. Arguments: names
 * of real tokenizers, `files` or `small`; all without.
 */
export async function check(args: readonly string[]): Promise<boolean> {
  const known: readonly string[] = [...realTokenizers, 'files', 'small'];
  const unknown = args.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`no tokenizer ${unknown.join(', ')}; there are ${known.join(', ')}`);
    return false;
  }
  const counts: Counts = { equal: 0, wrong: 0 };
  for (const name of args.length > 0 ? args : known)
    for (const variant of variantsOf(name)) {
      const before = { ...counts };
      await compare(variant, counts);
      const [equal, wrong] = [counts.equal - before.equal, counts.wrong - before.wrong];
      console.log(`${variant.name}: ${equal} equal, ${wrong} wrong`);
    }
  console.log(`${counts.equal} equal, ${counts.wrong} wrong`);
  return counts.wrong === 0;
}

function variantsOf(name: string): Iterable<Variant> {
  if (name === 'files') return fileVariants();
  return name === 'small' ? smallVariants() : realVariants(name);
}
