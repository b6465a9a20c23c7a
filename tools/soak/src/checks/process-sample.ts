import { readdirSync, readFileSync } from 'node:fs';

/** What a process holds. */
export interface ProcessSample {
  readonly residentBytes: number;
  readonly descriptors: number;
}

/** @returns null where the system does not tell, or the process is not there */
export function sampleProcess(pid: number): ProcessSample | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const residentKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
    if (!Number.isFinite(residentKiB)) return null;
    return {
      residentBytes: residentKiB * 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return null;
  }
}
