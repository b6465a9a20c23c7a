import type { SafetensorsFile } from '../safetensors-file.js';

/** What stands before the paths of a transformer's modules in a LoRA file of diffusers. */
const component = 'transformer.';
const endings = { a: '.lora_A.weight', b: '.lora_B.weight', alpha: '.alpha' } as const;

/** Kinds of tensors in a LoRA file: the two matrices and a number that scales them. */
export type LoraKey = keyof typeof endings;

/** diffusers' name of a tensor of a module of the transformer. */
export function diffusersKey(path: string, kind: LoraKey): string {
  return `${component}${path}${endings[kind]}`;
}

/** The module and kind that a name stands for, or null. */
export function parseDiffusersKey(name: string): { path: string; kind: LoraKey } | null {
  return parseKey(name, component, endings);
}

const kohyaComponent = 'lora_unet_';
const kohyaEndings = { a: '.lora_down.weight', b: '.lora_up.weight', alpha: '.alpha' } as const;

/** As `diffusersKey`, of a module by kohya's name for it. */
export function kohyaKey(path: string, kind: LoraKey): string {
  return `${kohyaComponent}${path}${kohyaEndings[kind]}`;
}

export function parseKohyaKey(name: string): { path: string; kind: LoraKey } | null {
  return parseKey(name, kohyaComponent, kohyaEndings);
}

/** Whether a file has LoRA of a diffusion model's transformer, by its names. */
export function isDiffusionLora({ tensors }: Pick<SafetensorsFile, 'tensors'>): boolean {
  return [...tensors.keys()].some(
    (name) => name.startsWith(component) || name.startsWith(kohyaComponent),
  );
}

function parseKey(
  name: string,
  prefix: string,
  kinds: Readonly<Record<LoraKey, string>>,
): { path: string; kind: LoraKey } | null {
  if (!name.startsWith(prefix)) return null;
  for (const kind of ['a', 'b', 'alpha'] as const) {
    const path = name.slice(prefix.length, -kinds[kind].length);
    if (name.endsWith(kinds[kind]) && path.length > 0) return { path, kind };
  }
  return null;
}
