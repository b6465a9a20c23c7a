import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

import { bundle, listPrograms } from '../setup/bundle.mjs';
import { workspaceRoot } from '../setup/workspace.mjs';

/** The narrow channel that the folder has to fit through. */
const maximumBytes = 40_000_000;
const folder = join(workspaceRoot, 'dist', 'emloc-gpu');
const programs = ['gpu-bundle', 'emloc', 'bench'];

/**
 * What starts a program there: `./emloc-gpu/run gpu-bundle check`, `./emloc-gpu/run emloc tune
 * ...`.
 */
const runScript = `#!/bin/sh
# Unpacks Node at the first start, then runs programs/NAME/NAME.mjs with the arguments that follow NAME.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
node="$here/node"
if [ ! -x "$node" ]; then
  if command -v xz >/dev/null 2>&1; then xz -dc "$here/node.xz" >"$node.$$"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$here/node.xz" "$node.$$"
  else echo "run: needs xz or python3 to unpack node.xz once" >&2; exit 1; fi
  chmod +x "$node.$$"
  mv "$node.$$" "$node"
fi
name=\${1:?usage: run PROGRAM [ARGUMENTS]; programs: $(ls "$here/programs" | tr '\\n' ' ')}
shift
# Layers are read by 16 threads; large arrays come in large pages, which takes a tenth of the time.
export UV_THREADPOOL_SIZE="\${UV_THREADPOOL_SIZE:-16}" GLIBC_TUNABLES="\${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
exec "$node" "$here/programs/$name/$name.mjs" "$@"
`;

/** Compressing takes a minute, so the result is kept beside the folder by Node's version. */
function packNode() {
  const packed = join(workspaceRoot, 'dist', `node-${process.version}-${process.arch}.xz`);
  if (!existsSync(packed)) {
    const output = openSync(`${packed}.part`, 'w');
    const { status, error } = spawnSync('xz', ['-6', '-T0', '-k', '-c', process.execPath], {
      stdio: ['ignore', output, 'inherit'],
    });
    closeSync(output);
    if (status !== 0) throw new Error('gpu-bundle: xz could not compress Node', { cause: error });
    renameSync(`${packed}.part`, packed);
  }
  cpSync(packed, join(folder, 'node.xz'));
}

/** koffi's JavaScript and the one native file that glibc on this architecture loads. */
function packKoffi() {
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
      join(folder, 'node_modules/koffi', file),
      (path) => !/\.(cc|hh|S|asm|ts)$/.test(path),
    );
  }
  for (const file of ['package.json', 'index.js', `linux_${process.arch}`])
    copy(join(modules, native, file), join(folder, 'node_modules', native, file));
}

/** @param {string} source @param {string} target @param {(path: string) => boolean} [filter] */
function copy(source, target, filter = () => true) {
  if (!existsSync(source)) return;
  mkdirSync(dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true, filter });
}

async function packPrograms() {
  for (const program of listPrograms().filter(({ name }) => programs.includes(name))) {
    await bundle(program);
    copy(
      program.folder,
      join(folder, 'programs', program.name),
      (path) => !path.endsWith('.map') && !path.endsWith('inputs.json'),
    );
  }
}

/** @param {string} path @returns {number} */
function bytesIn(path) {
  const status = statSync(path);
  return status.isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
    : status.size;
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await packPrograms();
packKoffi();
packNode();
for (const script of ['bench_torch.py', 'check_peft.py'])
  copy(join(workspaceRoot, 'tools/gpu-bundle', script), join(folder, script));
writeFileSync(join(folder, 'run'), runScript);
chmodSync(join(folder, 'run'), 0o755);
const bytes = bytesIn(folder);
console.log(
  `${folder}: ${(bytes / 1e6).toFixed(1)} MB, programs ${readdirSync(join(folder, 'programs')).join(', ')}`,
);
if (bytes > maximumBytes) throw new Error(`gpu-bundle: ${bytes} bytes, at most ${maximumBytes}`);
