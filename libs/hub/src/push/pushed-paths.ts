import { moreTemplates, smallNames, tokenizerNames } from '../needed-paths.js';

/** What belongs to an adapter or a checkpoint, besides config, tokenizer and sharded weights. */
const besideNames: ReadonlySet<string> = new Set([
  'README.md',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
  'NOTICE',
  'emloc.json',
  'adapter_config.json',
  'adapter_model.safetensors',
  'pytorch_lora_weights.safetensors',
  'model_index.json',
  'preprocessor_config.json',
  'processor_config.json',
  'image_processor.json',
  'video_preprocessor_config.json',
]);

const tokenizers: ReadonlySet<string> = new Set(tokenizerNames);

/** One file, shards, or the index of shards, as transformers and diffusers name them. */
const weights =
  /^(model|diffusion_pytorch_model)(\.(bf16|fp16|fp32))?(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;
const singleTransformer = /^flux1-[^/]*\.safetensors$/i;

const modelFolders: readonly string[] = ['transformer', 'text_encoder', 'text_encoder_2', 'vae'];
const tokenizerFolders: readonly string[] = ['tokenizer', 'tokenizer_2'];

/** Folders in which there may be files that are sent. */
export const pushedFolders: readonly string[] = [
  ...modelFolders,
  ...tokenizerFolders,
  'scheduler',
  'additional_chat_templates',
];

/** Whether a file is sent. @param path with slashes, relative to the folder that is sent */
export function isPushed(path: string): boolean {
  if (moreTemplates.test(path)) return true;
  const end = path.indexOf('/');
  const [folder, name] = [path.slice(0, Math.max(end, 0)), path.slice(end + 1)];
  if (folder === '')
    return (
      besideNames.has(path) ||
      smallNames.has(path) ||
      weights.test(path) ||
      singleTransformer.test(path)
    );
  if (modelFolders.includes(folder)) return name === 'config.json' || weights.test(name);
  if (tokenizerFolders.includes(folder)) return tokenizers.has(name);
  return path === 'scheduler/scheduler_config.json';
}

/** What a folder is by the files in it that are sent; null: nothing that is pushed. */
export function kindOf(paths: readonly string[]): 'adapter' | 'checkpoint' | null {
  const there = new Set(paths);
  const isPeft = there.has('adapter_config.json') && there.has('adapter_model.safetensors');
  if (isPeft || there.has('pytorch_lora_weights.safetensors')) return 'adapter';
  const hasWeights = (folder: string): boolean =>
    paths.some((path) => path.startsWith(folder) && weights.test(path.slice(folder.length)));
  const isModel = there.has('config.json') && hasWeights('');
  const isDiffusion =
    hasWeights('transformer/') || paths.some((path) => singleTransformer.test(path));
  return isModel || isDiffusion ? 'checkpoint' : null;
}
