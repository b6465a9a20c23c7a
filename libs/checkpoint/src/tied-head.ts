import type { Checkpoint } from './checkpoint.js';
import { sameTensor } from './compare-tensors.js';
import { currentName, knownName } from './wrapped-names.js';

/** Names of LM heads, and of what a tied one is stored as, that today's classes have. */
const heads = ['lm_head.weight', 'output.weight'];
const embeddings = ['model.embed_tokens', 'model.tok_embeddings'].flatMap((path) => [
  `${path}.weight`,
  `${path.replace('model.', 'model.language_model.')}.weight`,
]);

/** Whether a tensor is an LM head. */
export function isHead(name: string): boolean {
  return heads.includes(currentName(name));
}

/** The name of a checkpoint's embedding; undefined where it has none of a known name. */
export function embeddingIn({ tensors }: Pick<Checkpoint, 'tensors'>): string | undefined {
  return embeddings
    .map((name) => knownName(name, (each) => tensors.has(each)))
    .find((name) => name !== undefined);
}

/**
 * Whether the LM head of a checkpoint is its embedding: config.json does not deny it, and the file
 * has no head that differs. Of wrappers the outer config counts, as in transformers.
 */
export async function isHeadTied(checkpoint: Checkpoint, signal?: AbortSignal): Promise<boolean> {
  const { config, tensors } = checkpoint;
  // Where nothing is said, the class decides, which is not known here.
  if ((config['tie_word_embeddings'] ?? true) !== true) return false;
  const head = heads
    .map((name) => knownName(name, (each) => tensors.has(each)))
    .find((name) => name !== undefined);
  if (head === undefined) return true;
  const embedding = embeddingIn(checkpoint);
  return embedding !== undefined && sameTensor(checkpoint, [head, embedding], signal);
}
