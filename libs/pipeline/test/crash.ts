import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';

/** What is beside an output folder that lies where anything can be created. */
export function outputPaths(folder: string): {
  readonly folder: string;
  readonly progress: string;
  readonly lock: string;
  /** What is written until it is the output. */
  readonly staged: string;
} {
  const beside = (name: string): string => join(dirname(folder), `.${basename(folder)}.${name}`);
  return { folder, progress: beside('job'), lock: beside('lock'), staged: beside('new') };
}

/** The number of a process that is gone. */
const deadProcess = spawnSync(process.execPath, ['--version'], { stdio: 'ignore' }).pid;

/**
 * Copies a job's progress in one synchronous turn: what a process that is killed at that moment
 * leaves on the disk.
 */
export function takeSnapshot(out: string, snapshot: string): void {
  const { progress } = outputPaths(out);
  if (existsSync(progress)) cpSync(progress, snapshot, { recursive: true });
}

/**
 * Lays out what a killed process leaves at an output: progress, its lock, and every file that was
 * half written.
 */
export async function leaveCrash(out: string, snapshot: string): Promise<void> {
  const { progress, lock, staged } = outputPaths(out);
  await cp(snapshot, progress, { recursive: true });
  await writeFile(
    lock,
    JSON.stringify({ host: hostname(), pid: deadProcess, started: '1', token: 'dead' }),
  );
  await writeFile(`${lock}.0123456789ab`, '');
  await mkdir(staged);
  await writeFile(join(staged, 'adapter_model.safetensors'), 'half');
  await writeFile(join(progress, '.train.safetensors.0123456789ab.tmp'), 'half');
}
