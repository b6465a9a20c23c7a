import { basename, dirname, join, resolve } from 'node:path';
import { readAdapter, settleOutput, writeFileAtomic, writeGgufAdapter } from '@emloc/checkpoint';
import { Option, type Command } from 'commander';

import { addFlags, commonFlags } from '../flags.js';
import { modelFolder } from '../model-folder.js';
import { runCommand } from '../run-command.js';
import { UsageError } from '../usage-error.js';

export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .argument('<adapter>', 'folder of an adapter')
    .description('write an adapter in the format of another program: GGUF for llama.cpp and Ollama')
    .option('--model <dir|name>', 'the base model, whose config is read')
    .option('--out <file>', 'the file; one that is there is replaced')
    .addOption(new Option('--format <format>', 'gguf (default: gguf)').choices(['gguf']))
    .option(
      '--ollama-base <name>',
      "also write a Modelfile beside it, from Ollama's name of the base",
    );
  addFlags(command, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc export ./my-adapter --model ./base --out my-adapter.gguf' +
        '\n  emloc export ./my-adapter --model ./base --out my-adapter.gguf --ollama-base qwen2.5:0.5b',
    )
    .action(
      runCommand(['model', 'out'], async ({ args: [given = ''], values, progress, signal }) => {
        const [adapter, out] = [resolve(given), resolve(values['out'] as string)];
        const base = ollamaBase(values['ollamaBase']);
        await settleOutput(adapter);
        const model = await modelFolder(values['model'] as string, { progress, signal });
        const lora = await readAdapter(adapter, { base: model });
        const written = await writeGgufAdapter(out, lora, { model, signal });
        const modelfile = base === null ? null : join(dirname(out), 'Modelfile');
        if (modelfile !== null)
          await writeFileAtomic(modelfile, `FROM ${base ?? ''}\nADAPTER ./${basename(out)}\n`);
        return {
          document: { out, ...written, modelfile },
          text: `${written.tensors} tensors of ${written.architecture} in ${out}`,
        };
      }),
    );
}

/** A name as Ollama has them, on one line. */
function ollamaBase(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && /^[\w.:/-]{1,200}$/.test(value)) return value;
  throw new UsageError('--ollama-base: a name as Ollama has them is expected, NAME or NAME:TAG');
}
