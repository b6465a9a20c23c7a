import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { unitNamespace, unitSource, type UnitGroup } from './kernel-units.js';

/** nvcc's version, such as `13.0.88`, or null where there is none. */
export function nvccVersion(): string | null {
  const { status, stdout } = spawnSync('nvcc', ['--version'], { encoding: 'utf8' });
  return status === 0 ? (/ V([\d.]+)/.exec(stdout)?.[1] ?? stdout) : null;
}

/**
 * Compiles units, all as one source: most of the time for a small file goes to what the compiler
 * reads before it.
 * @returns the bytes that each unit's functions spill, as far as the options have them reported
 * @throws Error with the compiler's words where it fails
 */
export function compileUnits({ units, args }: UnitGroup): ReadonlyMap<string, readonly number[]> {
  const report = runNvcc(units.map(unitSource).join(''), args);
  return new Map(units.map((unit) => [unit, spilledBytes(report, unit)]));
}

/** What each function of a unit spills, of ptxas' report on all. */
function spilledBytes(report: string, unit: string): number[] {
  const namespace = unitNamespace(unit);
  const functions = new RegExp(
    String.raw`Function properties for _ZN${namespace.length}${namespace}\d.*\n.* (\d+) bytes spill stores`,
    'g',
  );
  return [...report.matchAll(functions)].map(([, bytes]) => Number(bytes));
}

function runNvcc(source: string, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-nvcc-'));
  try {
    const [file, image] = [join(folder, 'kernels.cu'), join(folder, 'image')];
    writeFileSync(file, source);
    const { status, stderr } = spawnSync('nvcc', [...args, '-o', image, file], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    if (status !== 0 || !existsSync(image)) throw new Error(`nvcc ${args.join(' ')}: ${stderr}`);
    return stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
