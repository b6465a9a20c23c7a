import type { Checkpoint } from './checkpoint.js';
import { sameTensor } from './compare-tensors.js';

export const headName = 'lm_head.weight';
/** What a tied head is stored as. */
export const embeddingName = 'model.embed_tokens.weight';

/**
 * Whether the LM head of a checkpoint is its embedding: config.json says so, and the file has no
 * head that differs.
 */
export async function isHeadTied(checkpoint: Checkpoint): Promise<boolean> {
  const { config, tensors } = checkpoint;
  if (config['tie_word_embeddings'] !== true) return false;
  if (!tensors.has(headName) || !tensors.has(embeddingName)) return true;
  return sameTensor(checkpoint, headName, embeddingName);
}
