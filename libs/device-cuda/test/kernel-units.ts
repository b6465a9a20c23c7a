import { kernelFiles, kernelSource } from '../src/compiler.js';
import { kernelKey } from '../src/kernel-cache.js';

/** Units (see KernelCompiler.compile) that nvcc compiles with the same options. */
export interface UnitGroup {
  readonly units: readonly string[];
  readonly args: readonly string[];
}

/** Hopper's front end sees code of its own; the others' differ in machine code alone. */
const architectures = ['arch=compute_80,code=[sm_80,sm_89,sm_120]', 'arch=compute_90a,code=sm_90a'];
/** For what takes long to compile: the oldest card and a large one; for its variants the latter. */
const someArchitectures = ['arch=compute_80,code=sm_80', 'arch=compute_90a,code=sm_90a'];
const oneArchitecture = ['arch=compute_90a,code=sm_90a'];

// Spilled registers are warnings, and warnings are errors.
const withoutSpills = ['-Xptxas', '-warn-spills'];
/** What each function spills is reported. */
const reported = ['-Xptxas', '-v'];

/** Every kernel file by itself, and with macros those whose registers are scarce. */
export function unitGroups(): readonly UnitGroup[] {
  const isLarge = (name: string): boolean => /^(attention|delta-rule)/.test(name);
  const files = kernelFiles();
  return [
    group(
      files.filter((name) => !isLarge(name)),
      withoutSpills,
      architectures,
    ),
    group(files.filter(isLarge), withoutSpills, someArchitectures),
    group(variants(files), reported, oneArchitecture),
  ];
}

function group(
  units: readonly string[],
  options: readonly string[],
  targets: readonly string[],
): UnitGroup {
  const common = ['-std=c++17', '-Werror', 'all-warnings', '-fatbin'];
  return {
    units,
    args: [...common, ...options, ...targets.map((target) => `-gencode=${target}`)],
  };
}

function variants(files: readonly string[]): readonly string[] {
  return files
    .filter((name) => name.startsWith('attention'))
    .flatMap((name) => ['MASK=NONE', 'MASK=WINDOW:SOFT_CAP=1'].map((macros) => `${name}:${macros}`))
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
}

/** A hash of what decides what a compiler says of a unit. */
export function unitHash(unit: string, args: readonly string[]): string {
  return kernelKey([unitSource(unit), ...args]);
}

/** A unit's source apart from others in the same file: names and macros end with it. */
export function unitSource(unit: string): string {
  const definitions = unit.split(':');
  const name = definitions.shift() ?? '';
  // Units share kernels' names; C names would be one for all namespaces.
  const source = kernelSource(name).replaceAll('extern "C" ', '');
  const macros = [
    ...definitions.map((definition) => definition.replace(/=.*/, '')),
    ...Array.from(source.matchAll(/^\s*#define (?<macro>\w+)/gm), ({ groups }) => groups?.macro),
  ];
  return [
    ...definitions.map((definition) => `#define ${definition.replace('=', ' ')}`),
    `namespace ${unitNamespace(unit)} {`,
    `#line 1 "${unit}"`,
    source,
    '}',
    ...[...new Set(macros)].map((macro) => `#undef ${macro}`),
    '',
  ].join('\n');
}

export function unitNamespace(unit: string): string {
  return `unit_${unit.replace(/\W/g, '_')}`;
}
