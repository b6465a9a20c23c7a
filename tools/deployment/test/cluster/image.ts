import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import dockerignore from '@balena/dockerignore';
import { at } from '@emloc/checked';
import { DockerfileParser, type Copy, type From, type Instruction } from 'dockerfile-ast';

import { root } from '../../src/testing/index.js';

/** One file or folder that a stage copies. */
export interface ImageCopy {
  /** Stage that it comes from; null: the build's context. */
  readonly from: string | null;
  readonly source: string;
  readonly target: string;
  readonly line: number;
}

/** The image that the Dockerfile's last stage makes. */
export interface Image {
  readonly copies: readonly ImageCopy[];
  readonly environment: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number };
}

const dockerfile = join(root, 'deploy/docker/Dockerfile');
const buildFolder = '/src/';

export function readImage(): Image {
  const parsed = DockerfileParser.parse(readFileSync(dockerfile, 'utf8'));
  const all = parsed.getInstructions();
  const last = all.slice(all.findLastIndex((instruction) => instruction.getKeyword() === 'FROM'));
  const texts = (keyword: string): string[] =>
    last
      .filter((instruction) => instruction.getKeyword() === keyword)
      .map((instruction) => instruction.getArgumentsContent() ?? '');
  const user = (texts('USER').at(-1) ?? '').split(':').map(Number);
  return {
    copies: last
      .filter((instruction) => instruction.getKeyword() === 'COPY')
      .map((instruction) => copyOf(instruction as Copy)),
    environment: Object.fromEntries(
      parsed
        .getENVs()
        .flatMap((env) => env.getProperties())
        .map((property) => [property.getName(), property.getValue() ?? '']),
    ),
    entrypoint: JSON.parse(texts('ENTRYPOINT').at(-1) ?? '[]') as string[],
    user: { uid: at(user, 0), gid: at(user, 1) },
  };
}

/** Names of the stages, and what each begins with. */
export function stagesOf(): readonly { readonly name: string | null; readonly base: string }[] {
  return DockerfileParser.parse(readFileSync(dockerfile, 'utf8'))
    .getFROMs()
    .map((from: From) => ({ name: from.getBuildStage(), base: from.getImage() ?? '' }));
}

function copyOf(instruction: Copy & Instruction): ImageCopy {
  const from =
    instruction
      .getFlags()
      .find((flag) => flag.getName() === 'from')
      ?.getValue() ?? null;
  const [source, target, ...more] = instruction
    .getArguments()
    .map((argument) => argument.getValue());
  if (source === undefined || target === undefined || more.length > 0)
    throw new Error('Dockerfile: COPY of one source was expected');
  return { from, source, target, line: instruction.getRange().start.line + 1 };
}

/** Where a copy's source is in this checkout, once it is built. */
export function sourceOf({ from, source }: ImageCopy): string {
  if (from === null) return join(root, source);
  if (from !== 'build' || !source.startsWith(buildFolder))
    throw new Error(`Dockerfile: ${source} of ${from} is not known here`);
  return join(root, source.slice(buildFolder.length));
}

/** Whether a file of the checkout is sent to the build. @param path relative to the root */
export function isInContext(path: string): boolean {
  ignored ??= dockerignore().add(readFileSync(`${dockerfile}.dockerignore`, 'utf8'));
  return !ignored.ignores(path);
}

let ignored: ReturnType<typeof dockerignore> | undefined;

/** Puts the image's own files into a folder, which stands for its root. */
export function unpackImage(image: Image, folder: string): void {
  for (const copy of image.copies) {
    const [source, target] = [sourceOf(copy), join(folder, copy.target)];
    if (!existsSync(source))
      throw new Error(`Dockerfile, line ${copy.line}: ${relative(root, source)} does not exist`);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(source, target, { recursive: true, dereference: true });
  }
}
