import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  findDiffusionModel,
  findVaeFile,
  readShardIndex,
  type DiffusionPlace,
} from '@emloc/checkpoint';
import { vocabularyFiles } from '@emloc/dataset/tokenizers';
import { readRegularFile } from '@emloc/untrusted';

import type { TuneOptions } from '../options/resolve.js';

/** A file that decides what comes out of a job, as it was when the job began. */
export interface InputFile {
  /** Path in the model's folder after `model/`; `data`, `data 2` or `validation`. */
  readonly name: string;
  readonly bytes: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: string;
  /** When anything about the file changed last, its times included. */
  readonly changedNs: string;
  readonly inode: string;
  /** In hex; null for weights and data, whose contents are hashed where they are read. */
  readonly sha256: string | null;
}

/** All that is read of a model's folder beside its weights. */
const smallFiles = [
  'config.json',
  'generation_config.json',
  'model.safetensors.index.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  ...vocabularyFiles,
  'chat_template.jinja',
  'chat_template.json',
];
/** No file that can be read has more. */
const maxSmallBytes = 128_000_000;
const templateFolder = 'additional_chat_templates';

type Paths = Pick<TuneOptions, 'model' | 'data' | 'moreData' | 'validation' | 'classData'>;

/**
 * The files that a job depends on, those that are not there left out.
 * @throws CheckpointError where the folder is no model; the signal's reason when aborted
 */
export async function readInputFiles(
  paths: Paths,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<InputFile[]> {
  const place = await findDiffusionModel(paths.model);
  const found = place
    ? await diffusionFiles(place, signal)
    : await modelFiles(paths.model, { signal });
  const data = Object.entries({
    data: paths.data,
    ...Object.fromEntries(paths.moreData.map((path, index) => [`data ${index + 2}`, path])),
    validation: paths.validation,
    class: paths.classData,
  }).flatMap(([name, path]) => (path === null ? [] : [inputFile(name, path, false)]));
  const files = await Promise.all([...found, ...data]);
  return files.filter((file) => file !== null).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Where those of the files lie, by their names, that are of the model. */
export async function modelPaths(
  names: Iterable<string>,
  model: string,
): Promise<ReadonlySet<string>> {
  const folder = (await findDiffusionModel(model))?.folder ?? model;
  const prefix = 'model/';
  const own = [...names].filter((name) => name.startsWith(prefix));
  return new Set(own.map((name) => resolve(folder, name.slice(prefix.length))));
}

/** Of one model's folder, under `name`. */
async function modelFiles(
  folder: string,
  { name = 'model', signal }: { readonly name?: string; readonly signal?: AbortSignal },
): Promise<readonly Promise<InputFile | null>[]> {
  const { files: weights, indexFile } = await readShardIndex(folder, { signal });
  const templates = await readdir(join(folder, templateFolder)).catch(() => [] as string[]);
  const small = [
    ...smallFiles,
    ...(indexFile === null ? [] : [indexFile]),
    ...templates
      .filter((file) => file.endsWith('.jinja'))
      .map((file) => `${templateFolder}/${file}`),
  ];
  return [
    ...[...new Set(small)].map((file) => inputFile(`${name}/${file}`, join(folder, file), true)),
    ...weights.map((file) => inputFile(`${name}/${file}`, join(folder, file), false)),
  ];
}

/** Of a folder of several models, and what they share. */
async function diffusionFiles(
  { folder, transformerFile }: DiffusionPlace,
  signal: AbortSignal | undefined,
): Promise<readonly Promise<InputFile | null>[]> {
  const vaeFile = await findVaeFile(folder);
  const models = ['text_encoder', 'text_encoder_2'];
  if (vaeFile === null) models.push('vae');
  if (transformerFile === null) models.push('transformer');
  const found = await Promise.all(
    models.map((name) => modelFiles(join(folder, name), { name: `model/${name}`, signal })),
  );
  const shared = [
    'model_index.json',
    ...(vaeFile === null ? [] : ['vae/config.json']),
    'scheduler/scheduler_config.json',
    ...['tokenizer', 'tokenizer_2'].flatMap((name) => smallFiles.map((file) => `${name}/${file}`)),
  ];
  return [
    ...found.flat(),
    ...shared.map((file) => inputFile(`model/${file}`, join(folder, file), true)),
    ...[transformerFile, vaeFile].flatMap((file) =>
      file === null ? [] : [inputFile(`model/${file}`, join(folder, file), false)],
    ),
  ];
}

async function inputFile(name: string, path: string, isSmall: boolean): Promise<InputFile | null> {
  const info = await stat(path, { bigint: true }).catch(() => null);
  if (!info?.isFile()) return null;
  return {
    name,
    bytes: Number(info.size),
    modifiedNs: String(info.mtimeNs),
    changedNs: String(info.ctimeNs),
    inode: String(info.ino),
    sha256: isSmall
      ? createHash('sha256')
          .update(await readRegularFile(path, maxSmallBytes))
          .digest('hex')
      : null,
  };
}

/** What became of a job's files since it began. */
export interface InputComparison {
  /** What is certainly another file, in words; null: nothing. */
  readonly changed: string | null;
  /**
   * Names of files of the same size whose times or inode differ: copies, or changed in place. Their
   * contents tell.
   */
  readonly doubtful: readonly string[];
}

export function compareInputFiles(
  before: readonly InputFile[],
  now: readonly InputFile[],
): InputComparison {
  const found = new Map(now.map((file) => [file.name, file]));
  const known = new Set(before.map(({ name }) => name));
  const changes = [
    ...before.flatMap((file) => changeOf(file, found.get(file.name)) ?? []),
    ...now.filter(({ name }) => !known.has(name)).map(({ name }) => `${name} was not there`),
  ];
  const doubtful = before.filter((file) => isDoubtful(file, found.get(file.name)));
  return { changed: changes.at(0) ?? null, doubtful: doubtful.map(({ name }) => name) };
}

function changeOf(before: InputFile, now: InputFile | undefined): string | null {
  if (!now) return `${before.name} is not there any more`;
  if (now.bytes !== before.bytes)
    return `${before.name} has ${now.bytes} bytes, it had ${before.bytes}`;
  return now.sha256 === before.sha256 ? null : `${before.name} has other contents`;
}

function isDoubtful(before: InputFile, now: InputFile | undefined): boolean {
  return (
    now !== undefined &&
    before.sha256 === null &&
    (before.modifiedNs !== now.modifiedNs ||
      before.changedNs !== now.changedNs ||
      before.inode !== now.inode)
  );
}

/**
 * A hash, in hex, of everything that a job depends on but the values of its tensors: the same on
 * every machine that has the same files, wherever they lie.
 */
export function inputsHash(jobId: string, files: readonly InputFile[]): string {
  const hash = createHash('sha256').update(jobId);
  for (const { name, bytes, sha256 } of files)
    if (sha256 !== null) hash.update(`\n${JSON.stringify([name, bytes, sha256])}`);
  return hash.digest('hex');
}

/** Whether a value out of a file lists input files. */
export function isInputFiles(value: unknown): value is InputFile[] {
  return (
    Array.isArray(value) &&
    value.every((file: Partial<Record<keyof InputFile, unknown>> | null) => {
      const texts = [
        file?.name,
        file?.modifiedNs,
        file?.changedNs,
        file?.inode,
        file?.sha256 ?? '',
      ];
      return Number.isSafeInteger(file?.bytes) && texts.every((text) => typeof text === 'string');
    })
  );
}
