import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { kernelFiles, kernelSource, targetOf } from './compiler.js';
import { createKernelCache, kernelCacheFolder, kernelKey } from './kernel-cache.js';

const { status: nvccStatus, stdout: nvccVersion } = spawnSync('nvcc', ['--version'], {
  encoding: 'utf8',
});
const hasNvcc = nvccStatus === 0;
/**
 * What nvcc said of sources that compiled: the same sources and options need no second time, nor in
 * another clone. Beside the kernels that are compiled on this machine.
 */
const reports = createKernelCache(join(kernelCacheFolder(), '..', 'nvcc-reports'));
/** Hopper's front end sees code of its own; the others' differ in machine code alone. */
const architectures = ['arch=compute_80,code=[sm_80,sm_89,sm_120]', 'arch=compute_90a,code=sm_90a'];
/** For what takes long to compile: the oldest card and a large one; for its variants the latter. */
const someArchitectures = ['arch=compute_80,code=sm_80', 'arch=compute_90a,code=sm_90a'];
const oneArchitecture = ['arch=compute_90a,code=sm_90a'];

describe('kernel files', () => {
  test('are found, and their includes are put in place', () => {
    expect(kernelFiles()).toEqual(
      expect.arrayContaining(['attention', 'attention-backward', 'add-bias', 'rms-norm', 'adamw']),
    );
    for (const name of kernelFiles()) {
      expect(kernelSource(name)).toContain('struct alignas(2) bf16');
      expect(kernelSource(name)).not.toContain('#include');
    }
  });

  const whenNvcc = hasNvcc ? test : test.skip;
  const isLarge = (name: string): boolean => /^(attention|delta-rule)/.test(name);
  // Spilled registers are warnings, and warnings are errors.
  const options = ['-Xptxas', '-warn-spills'];

  whenNvcc('compile without a warning', () => {
    const files = kernelFiles().filter((name) => !isLarge(name));
    expect(files.length).toBeGreaterThan(20);
    compile(files, options, architectures);
  });

  whenNvcc('with products by tiles compile without a warning', () => {
    const files = kernelFiles().filter(isLarge);
    expect(files.length).toBeGreaterThan(10);
    compile(files, options, someArchitectures);
  });

  const masks = ['MASK=NONE', 'MASK=WINDOW:SOFT_CAP=1'];
  const variants = kernelFiles()
    .filter((name) => name.startsWith('attention'))
    .flatMap((name) => masks.map((macros) => `${name}:${macros}`))
    .concat(
      'attention:MASK=NONE:RELATIVE_BIAS=1',
      'delta-rule:HEAD_WIDTH=64',
      'delta-rule-gradients:HEAD_WIDTH=64',
      'attention:MASK=WINDOW:SOFT_CAP=1:RELATIVE_BIAS=1',
      'decode-attention:LANES=32:GROUP=8:SOFT_CAP=1',
      'decode-attention:LANES=1:GROUP=1:ALIGNED=0',
      'decode-attention:LANES=32:GROUP=4:ALIGNED=0',
      'decode-attention:LANES=32:GROUP=4:EIGHTS=2',
    );
  whenNvcc('with macros compile and spill next to nothing', () => {
    const report = compile(variants, ['-Xptxas', '-v'], oneArchitecture);
    for (const unit of variants) {
      const spills = spilledBytes(report, unit);
      expect({ unit, kernels: spills.length }).not.toEqual({ unit, kernels: 0 });
      // Below this the compiler prefers one more block on the processor.
      for (const bytes of spills)
        expect({ unit, bytes: Math.min(bytes, 64) }).toEqual({ unit, bytes });
    }
  });
});

/**
 * Compiles units (see KernelCompiler.compile) for some architectures, all as one source: most of
 * the time for a small file goes to what the compiler reads before it.
 * @returns what the compiler says
 */
function compile(
  units: readonly string[],
  options: readonly string[],
  targets: readonly string[],
): string {
  const source = units.map(inNamespace).join('');
  const args = [
    ...['-std=c++17', '-Werror', 'all-warnings', '-fatbin', ...options],
    ...targets.map((target) => `-gencode=${target}`),
  ];
  const key = kernelKey([nvccVersion, source, ...args]);
  const known = reports.read(key);
  if (known) return Buffer.from(known).toString();
  const report = runNvcc(source, args);
  reports.write(key, Buffer.from(report));
  return report;
}

/** A unit's source apart from others in the same file: names and macros end with it. */
function inNamespace(unit: string): string {
  const [name = '', ...definitions] = unit.split(':');
  // Units share kernels' names; C names would be one for all namespaces.
  const source = kernelSource(name).replaceAll('extern "C" ', '');
  const given = definitions.map((definition) => definition.split('=') as [string, string]);
  const macros = [
    ...given.map(([macro]) => macro),
    ...[...source.matchAll(/^\s*#define (\w+)/gm)].map(([, macro]) => macro),
  ];
  return [
    ...given.map(([macro, value]) => `#define ${macro} ${value}`),
    `namespace ${namespaceOf(unit)} {`,
    `#line 1 "${unit}"`,
    source,
    '}',
    ...[...new Set(macros)].map((macro) => `#undef ${macro}`),
    '',
  ].join('\n');
}

function namespaceOf(unit: string): string {
  return `unit_${unit.replace(/\W/g, '_')}`;
}

/** What each function of a unit spills, of ptxas' report on all. */
function spilledBytes(report: string, unit: string): number[] {
  const namespace = namespaceOf(unit);
  const functions = new RegExp(
    String.raw`Function properties for _ZN${namespace.length}${namespace}\d.*\n.* (\d+) bytes spill stores`,
    'g',
  );
  return [...report.matchAll(functions)].map(([, bytes]) => Number(bytes));
}

/** @throws Error with the compiler's words where it fails */
function runNvcc(source: string, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-nvcc-'));
  try {
    const file = join(folder, 'kernels.cu');
    writeFileSync(file, source);
    const output = ['-o', join(folder, 'image'), file];
    const { status, stderr } = spawnSync('nvcc', [...args, ...output], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    if (status !== 0) throw new Error(`nvcc ${args.join(' ')}: ${stderr}`);
    expect(readdirSync(folder)).toContain('image');
    return stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('kernel compiler', () => {
  test('compiles machine code where it can, else for the newest older card', () => {
    expect(targetOf(90, [80, 89, 90])).toBe('sm_90a');
    expect(targetOf(89, [80, 89, 90])).toBe('sm_89');
    expect(targetOf(131, [80, 100, 120])).toBe('compute_120');
    expect(() => targetOf(70, [80, 90])).toThrow(
      expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
    );
  });

  test('keeps images under a key of everything that decides them, and drops damaged ones', () => {
    const folder = mkdtempSync(join(tmpdir(), 'emloc-cache-'));
    try {
      const cache = createKernelCache(join(folder, 'deep'));
      const key = kernelKey(['source', 'sm_90', '13.0']);
      expect(key).not.toBe(kernelKey(['source', 'sm_89', '13.0']));
      expect(cache.read(key)).toBeNull();
      cache.write(key, Uint8Array.of(1, 2, 3));
      expect([...(cache.read(key) ?? [])]).toEqual([1, 2, 3]);
      expect(readdirSync(join(folder, 'deep'))).toEqual([key]);
      writeFileSync(join(folder, 'deep', key), 'damaged');
      expect(cache.read(key)).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('works without a cache folder that can be written to', () => {
    const cache = createKernelCache(
      fileURLToPath(new URL('./kernels.spec.ts/below-a-file', import.meta.url)),
    );
    cache.write('key', Uint8Array.of(1));
    expect(cache.read('key')).toBeNull();
    expect(kernelCacheFolder({ XDG_CACHE_HOME: '/var/cache/me' })).toBe(
      '/var/cache/me/emloc/kernels',
    );
  });
});
