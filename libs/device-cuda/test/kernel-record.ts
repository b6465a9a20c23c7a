import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { unitHash, type UnitGroup } from './kernel-units.js';
import { compileUnits, nvccVersion } from './nvcc.js';

const file = fileURLToPath(new URL('./kernel-record.json', import.meta.url));

/** What nvcc said of a unit, which compiled. */
interface UnitRecord {
  /** Of its source and the compiler's options. */
  readonly hash: string;
  /** The nvcc that compiled it. */
  readonly nvcc: string;
  /** Of each function that was reported. */
  readonly spilledBytes: readonly number[];
}

/** By unit. */
type KernelRecord = Readonly<Record<string, UnitRecord>>;

export function readKernelRecord(): KernelRecord {
  return JSON.parse(readFileSync(file, 'utf8')) as KernelRecord;
}

/** The units that have another source or other options than the record's, or are not in it. */
export function changedUnits(record: KernelRecord, { units, args }: UnitGroup): readonly string[] {
  return units.filter((unit) => record[unit]?.hash !== unitHash(unit, args));
}

/**
 * Writes the record of all units, of which those that changed are compiled.
 * @throws Error with the compiler's words where it fails, or when there is none
 */
export function renewKernelRecord(groups: readonly UnitGroup[]): void {
  const old = readKernelRecord();
  const renewed = groups.flatMap((group) => {
    const compiled = compileChanged(old, group);
    return group.units.map((unit) => [unit, compiled[unit] ?? old[unit]]);
  });
  const lines = renewed
    .map(([unit, record]) => `${JSON.stringify(unit)}: ${JSON.stringify(record)}`)
    .sort();
  writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
}

function compileChanged(old: KernelRecord, { units: all, args }: UnitGroup): KernelRecord {
  const units = changedUnits(old, { units: all, args });
  if (units.length === 0) return {};
  const nvcc = nvccVersion();
  if (nvcc === null) throw new Error(`no nvcc is found, to compile ${units.join(', ')}`);
  const spills = compileUnits({ units, args });
  return Object.fromEntries(
    units.map((unit) => {
      const spilledBytes = spills.get(unit) ?? [];
      return [unit, { hash: unitHash(unit, args), nvcc, spilledBytes }];
    }),
  );
}
