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
/** What nvcc said of sources that compiled: the same source and options need no second time. */
const reports = createKernelCache(join(tmpdir(), 'emloc-nvcc-reports'));
const architectures = [80, 89, 90, 120];
/** For what takes long to compile: the oldest card and a large one; for its variants the latter. */
const someArchitectures = [80, 90];
const oneArchitecture = [90];

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
  whenNvcc.each(kernelFiles())('%s.cu compiles without a warning', (name) => {
    const cards = isLarge(name) ? someArchitectures : architectures;
    compile(name, ['-Xptxas', '-warn-spills'], cards);
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
  whenNvcc.each(variants)('%s compiles and spills next to nothing', (unit) => {
    const report = compile(unit, ['-Xptxas', '-v'], oneArchitecture);
    const spills = [...report.matchAll(/(\d+) bytes spill stores/g)].map(([, bytes]) =>
      Number(bytes),
    );
    expect(spills.length).toBeGreaterThan(0);
    // Below this the compiler prefers one more block on the processor.
    expect(Math.max(...spills)).toBeLessThan(64);
  });
});

/**
 * Compiles a unit (see KernelCompiler.compile) for some architectures, in one call of nvcc.
 * @returns what the compiler says
 */
function compile(
  unit: string,
  options: readonly string[],
  cards: readonly number[] = architectures,
): string {
  const [name = '', ...macros] = unit.split(':');
  const args = [
    ...['-std=c++17', '-Werror', 'all-warnings', '-fatbin', '-t', '2', ...options],
    ...macros.map((macro) => `-D${macro}`),
    ...cards
      .map((card) => targetOf(card, architectures).replace('sm_', ''))
      .map((target) => `-gencode=arch=compute_${target},code=sm_${target}`),
  ];
  const key = kernelKey([nvccVersion, kernelSource(name), ...args]);
  const known = reports.read(key);
  if (known) return Buffer.from(known).toString();
  const report = runNvcc(name, args);
  reports.write(key, Buffer.from(report));
  return report;
}

/** @throws Error with the compiler's words where it fails */
function runNvcc(name: string, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-nvcc-'));
  try {
    const source = join(fileURLToPath(new URL('../kernels/', import.meta.url)), `${name}.cu`);
    const output = ['-o', join(folder, 'image'), source];
    const { status, stderr } = spawnSync('nvcc', [...args, ...output], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`nvcc ${name}.cu ${args.join(' ')}: ${stderr}`);
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
