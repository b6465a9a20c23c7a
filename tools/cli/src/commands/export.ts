import { basename, dirname, join, resolve } from 'node:path';
import {
  findOutputFile,
  readAdapter,
  settleOutput,
  writeFileAtomic,
  writeGgufAdapter,
} from '@emloc/checkpoint';

import { defineCommand } from '../command/define-command.js';
import { choiceFlag, requiredFlag, textFlag } from '../command/flag.js';
import { modelFolder } from '../model-folder.js';
import { UsageError } from '../usage-error.js';

export const command = defineCommand({
  argument: { name: '<adapter>', help: 'folder of an adapter' },
  flags: {
    model: requiredFlag('--model <dir|name>', 'the base model, whose config is read'),
    out: requiredFlag('--out <file>', 'the file; one that is there is replaced'),
    format: choiceFlag('--format <format>', 'what is written (default: gguf)', ['gguf']),
    ollamaBase: textFlag(
      '--ollama-base <name>',
      'also write a Modelfile beside it, with the name that Ollama has for the base',
    ),
  },
  examples: [
    'export ./my-adapter --model ./base --out my-adapter.gguf',
    'export ./my-adapter --model ./base --out my-adapter.gguf --ollama-base qwen2.5:0.5b',
  ],
  run: async ({ argument, values, progress, signal }) => {
    const adapter = resolve(argument);
    const out = await findOutputFile(values.out);
    const modelfile = await modelfileOf(values.ollamaBase, out);
    await settleOutput(adapter);
    const model = await modelFolder(values.model, { progress, signal });
    const lora = await readAdapter(adapter, { base: model, signal });
    const written = await writeGgufAdapter(out, lora, { model, signal });
    if (modelfile) await writeFileAtomic(modelfile.path, modelfile.text, { signal });
    return {
      document: { out, ...written, modelfile: modelfile?.path ?? null },
      text: `${written.tensors} tensors of ${written.architecture} in ${out}`,
    };
  },
});

/** What Ollama makes a model of; null: it is not asked for. @throws UsageError */
async function modelfileOf(
  base: string | undefined,
  out: string,
): Promise<{ readonly path: string; readonly text: string } | null> {
  if (base === undefined) return null;
  if (!/^[\w.:/-]{1,200}$/.test(base))
    throw new UsageError('--ollama-base: a name as Ollama has them is expected, NAME or NAME:TAG');
  return {
    path: await findOutputFile(join(dirname(out), 'Modelfile')),
    text: `FROM ${base}\nADAPTER ./${basename(out)}\n`,
  };
}
