import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { required } from '@emloc/checked';

import { unpack } from './container.js';
import { parseGolden, type Golden } from './golden.js';
import { renameTensors } from './rename-tensors.js';
import { tokenizerFiles } from './tokenizer.js';

const ownFolder = 'fixtures';
const suffix = '.golden.br';
const weights = 'model.safetensors';

export interface GoldenFixture {
  /**
   * Has config.json, model.safetensors, golden.json, and the files of a tokenizer if asked for; of
   * models that make images the folders of their components, too; of operations no model.
   */
  readonly folder: string;
  /** @throws Error where it is of operations alone */
  readonly golden: Golden;
  /** Removes the folder. */
  close(): Promise<void>;
}

export interface FixtureOptions {
  /** Adds a tokenizer of the models' 384 ids, with a chat template. */
  readonly tokenizer?: boolean;
  /** Gives tensors other names: another layout of the same model. */
  readonly rename?: (name: string) => string;
  /** The folder of the packed fixtures; this package's own where nothing is said. */
  readonly from?: string;
}

/** The names of all fixtures, sorted. @throws where there is no such folder */
export function fixtureNames(from = ownFixtures()): readonly string[] {
  return readdirSync(from)
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

/** Unpacks a fixture into a temporary folder. @throws where there is none of that name */
export async function unpackFixture(
  name: string,
  { tokenizer = false, rename, from = ownFixtures() }: FixtureOptions = {},
): Promise<GoldenFixture> {
  const files = new Map(unpack(await readFile(join(from, `${name}${suffix}`))));
  if (rename) files.set(weights, renameTensors(required(files.get(weights), weights), rename));
  const folder = await mkdtemp(join(tmpdir(), `emloc-golden-${name}-`));
  const added = tokenizer ? Object.entries(tokenizerFiles()) : [];
  for (const [file, data] of [...files, ...added]) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), data);
  }
  const golden = new TextDecoder().decode(files.get('golden.json'));
  return {
    folder,
    // Only of those who ask: goldens of operations are of another form.
    get golden() {
      return parseGolden(JSON.parse(golden), folder);
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

function ownFixtures(): string {
  // A template: what a bundler finds in quotes it carries along, and fixtures travel alone.
  return fileURLToPath(new URL(`../${ownFolder}/`, import.meta.url));
}
