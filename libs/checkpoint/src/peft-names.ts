const prefix = 'base_model.model.';
const suffixes = { a: '.lora_A.weight', b: '.lora_B.weight' } as const;

export type LoraMatrix = keyof typeof suffixes;

/** PEFT's name of a layer's A or B. */
export function loraTensorName(path: string, matrix: LoraMatrix): string {
  return `${prefix}${path}${suffixes[matrix]}`;
}

/** The layer and matrix that a PEFT tensor name stands for, or null. */
export function parseLoraTensorName(
  name: string,
): { readonly path: string; readonly matrix: LoraMatrix } | null {
  for (const matrix of ['a', 'b'] as const) {
    const path = name.slice(prefix.length, -suffixes[matrix].length);
    if (path.length > 0 && name === loraTensorName(path, matrix)) return { path, matrix };
  }
  return null;
}
