const prefix = 'base_model.model.';
const suffixes = {
  a: '.lora_A.weight',
  b: '.lora_B.weight',
  magnitude: '.lora_magnitude_vector',
} as const;
const matrices = ['a', 'b', 'magnitude'] as const satisfies readonly LoraMatrix[];

export type LoraMatrix = keyof typeof suffixes;

/** PEFT's name of a layer's A, B or magnitude. */
export function loraTensorName(path: string, matrix: LoraMatrix): string {
  return `${prefix}${path}${suffixes[matrix]}`;
}

/** The layer and matrix that a PEFT tensor name stands for, or null. */
export function parseLoraTensorName(
  name: string,
): { readonly path: string; readonly matrix: LoraMatrix } | null {
  for (const matrix of matrices) {
    const path = name.slice(prefix.length, -suffixes[matrix].length);
    if (path.length > 0 && name === loraTensorName(path, matrix)) return { path, matrix };
  }
  return null;
}

/**
 * The base's tensor that a name stands for which is no part of a layer: PEFT saves copies of the
 * embedding and the head where one of them is adapted or the vocabulary was resized. null: none.
 */
export function parseCopyName(name: string): string | null {
  if (!name.startsWith(prefix) || !name.endsWith('.weight') || name.includes('.lora_')) return null;
  return name.slice(prefix.length).replace(/\.base_layer\.weight$/, '.weight');
}
