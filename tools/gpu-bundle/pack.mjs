/**
 * `node tools/gpu-bundle/pack.mjs [PROGRAM...] [SCRIPT.py...] [sharp]` writes dist/emloc-gpu:
 * `run`, Node, and the programs that are named with what they load, compressed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';

import { bundle, listPrograms } from '../setup/bundle.mjs';
import { workspaceRoot } from '../setup/workspace.mjs';
import { selectContents } from './contents.mjs';
import {
  bytesIn,
  checkoutBytes,
  maximumDecoderBytes,
  maximumFolderBytes,
  maximumTogetherBytes,
} from './size.mjs';
import { blankLanguages } from './slim-icu.mjs';

const tool = join(workspaceRoot, 'tools', 'gpu-bundle');
const folder = join(workspaceRoot, 'dist', 'emloc-gpu');
/** What becomes programs.tar.xz. */
const staging = join(workspaceRoot, 'dist', 'emloc-gpu-programs');

/**
 * What starts a program there: `./emloc-gpu/run gpu-bundle check`, `./emloc-gpu/run emloc tune
 * ...`.
 * @param {string} id of what is packed: another folder's programs are not started in its place
 * @param {readonly string[]} programs
 */
const runScript = (id, programs) => `#!/bin/sh
# Unpacks Node and the programs at the first start, then runs NAME with the arguments that follow it.
set -eu
name=\${1:?usage: run PROGRAM [ARGUMENTS]; programs: ${programs.join(' ')}}
case " ${programs.join(' ')} " in
  *" $name "*) ;;
  *) echo "run: there is no $name here; programs: ${programs.join(' ')}" >&2; exit 1 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
home="$here/unpacked-${id}"
if [ ! -d "$home" ]; then
  new="$home.$$"
  rm -rf "$new"
  mkdir "$new"
  if command -v xz >/dev/null 2>&1; then
    xz -dc "$here/node.xz" >"$new/node"
    xz -dc "$here/programs.tar.xz" | tar -x -f - -C "$new"
  elif command -v python3 >/dev/null 2>&1; then
    python3 - "$here" "$new" <<'END'
import lzma, shutil, sys, tarfile
here, new = sys.argv[1:]
shutil.copyfileobj(lzma.open(here + '/node.xz'), open(new + '/node', 'wb'))
tarfile.open(here + '/programs.tar.xz').extractall(new)
END
  else echo "run: needs xz or python3 to unpack once" >&2; exit 1; fi
  chmod +x "$new/node"
  # Another first start at the same time may have been faster.
  if [ -d "$home" ]; then rm -r "$new"; else mv "$new" "$home"; fi
fi
shift
# Layers are read by 16 threads; large arrays come in large pages, which takes a tenth of the time.
export UV_THREADPOOL_SIZE="\${UV_THREADPOOL_SIZE:-16}" GLIBC_TUNABLES="\${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
exec "$home/node" "$home/programs/$name/$name.mjs" "$@"
`;

/** @param {string} command @param {string[]} args @param {string} [output] a file for stdout */
function execute(command, args, output) {
  const stdout = output === undefined ? 'inherit' : openSync(output, 'w');
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', stdout, 'inherit'] });
  if (typeof stdout === 'number') closeSync(stdout);
  if (status !== 0) throw new Error(`gpu-bundle: ${command} failed`, { cause: error });
}

/** @param {string} source @param {string} target */
function compress(source, target) {
  execute('xz', ['-9e', '-k', '-c', source], `${target}.part`);
  renameSync(`${target}.part`, target);
}

/**
 * Node without its symbols, which are an eighth of it, and without other languages than English.
 * Compressing takes a minute, so the result is kept beside the folder by Node's version.
 */
function packNode() {
  const packed = join(workspaceRoot, 'dist', `node-${process.version}-${process.arch}-slim.xz`);
  if (!existsSync(packed)) {
    const stripped = join(workspaceRoot, 'dist', `node.${process.pid}`);
    cpSync(process.execPath, stripped);
    execute('strip', [stripped]);
    const executable = readFileSync(stripped);
    blankLanguages(executable);
    writeFileSync(stripped, executable);
    compress(stripped, packed);
    rmSync(stripped);
  }
  cpSync(packed, join(folder, 'node.xz'));
}

/** koffi's JavaScript and the one native file that glibc on this architecture loads. */
function stageKoffi() {
  const modules = join(workspaceRoot, 'node_modules');
  const native = `@koromix/koffi-linux-${process.arch}`;
  for (const file of [
    'package.json',
    'index.js',
    'index.cjs',
    'indirect.js',
    'indirect.cjs',
    'src/koffi',
    'LICENSE.txt',
  ]) {
    copy(
      join(modules, 'koffi', file),
      join(staging, 'node_modules/koffi', file),
      (path) => !/\.(cc|hh|S|asm|ts)$/.test(path),
    );
  }
  for (const file of ['package.json', 'index.js', `linux_${process.arch}`])
    copy(join(modules, native, file), join(staging, 'node_modules', native, file));
}

/** sharp with what it loads, libvips among it, for glibc on this architecture. */
function stageSharp() {
  const native = [`sharp-linux-${process.arch}`, `sharp-libvips-linux-${process.arch}`];
  const packages = [
    'sharp/package.json',
    'sharp/dist',
    'sharp/LICENSE',
    'detect-libc',
    'semver',
    ...['colour', ...native].map((name) => `@img/${name}`),
  ];
  for (const name of packages)
    copy(
      join(workspaceRoot, 'node_modules', name),
      join(staging, 'node_modules', name),
      (path) => !/\.d\.[cm]?ts$/.test(path),
    );
}

/** @param {string} source @param {string} target @param {(path: string) => boolean} [filter] */
function copy(source, target, filter = () => true) {
  if (!existsSync(source)) return;
  mkdirSync(dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true, filter });
}

/** @param {readonly string[]} names */
async function stagePrograms(names) {
  for (const program of listPrograms().filter(({ name }) => names.includes(name))) {
    const made = join(staging, 'made', program.name);
    await bundle({ ...program, folder: made, outFile: join(made, basename(program.outFile)) });
    copy(
      made,
      join(staging, 'programs', program.name),
      (path) => !/(\.map|(in|out)puts\.json)$/.test(path),
    );
  }
}

/** @returns {string} what tells this folder's programs from another's */
function packPrograms() {
  const archive = join(folder, 'programs.tar');
  execute('tar', ['-c', '-f', archive, '-C', staging, 'programs', 'node_modules']);
  compress(archive, `${archive}.xz`);
  rmSync(archive);
  const hash = createHash('sha256').update(process.version);
  return hash
    .update(readFileSync(`${archive}.xz`))
    .digest('hex')
    .slice(0, 12);
}

/**
 * @param {number} mostBytes of the folder
 * @throws Error where the folder, or the checkout with it, is too large
 */
function checkSize(mostBytes) {
  const [bytes, checkout] = [bytesIn(folder), checkoutBytes(workspaceRoot)];
  const megabytes = (/** @type {number} */ count) => `${(count / 1e6).toFixed(1)} MB`;
  console.log(
    `${folder}: ${megabytes(bytes)}, with the checkout ${megabytes(bytes + checkout)}: ${readdirSync(join(staging, 'programs')).join(', ')}`,
  );
  if (bytes > mostBytes) throw new Error(`gpu-bundle: ${bytes} bytes, at most ${mostBytes}`);
  if (bytes + checkout > maximumTogetherBytes)
    throw new Error(
      `gpu-bundle: ${bytes + checkout} bytes with the checkout, at most ${maximumTogetherBytes}`,
    );
}

const { programs, scripts, packages } = selectContents(process.argv.slice(2), {
  programs: listPrograms().map(({ name }) => name),
  scripts: readdirSync(tool).filter((name) => name.endsWith('.py')),
});
for (const path of [folder, staging]) {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
}
await stagePrograms(programs);
stageKoffi();
if (packages.includes('sharp')) stageSharp();
const id = packPrograms();
packNode();
for (const script of scripts) copy(join(tool, script), join(folder, script));
writeFileSync(join(folder, 'run'), runScript(id, programs));
chmodSync(join(folder, 'run'), 0o755);
checkSize(maximumFolderBytes + (packages.includes('sharp') ? maximumDecoderBytes : 0));
rmSync(staging, { recursive: true });
