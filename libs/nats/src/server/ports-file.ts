import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Ports on which a nats-server listens. */
export interface NatsPorts {
  readonly port: number;
  /** Of the monitoring page; null: it has none. */
  readonly monitorPort: number | null;
}

/**
 * Reads the file that `nats-server --ports_file_dir FOLDER` writes once it listens, which is how it
 * says which port it got for -1: `{"nats":["nats://127.0.0.1:4222"],"monitoring":["http://..."]}`.
 * @returns null while the file is not there or half written
 */
export function readNatsPorts(
  folder: string,
  { binary, pid }: { readonly binary: string; readonly pid: number },
): NatsPorts | null {
  try {
    const text = readFileSync(join(folder, `${basename(binary)}_${pid}.ports`), 'utf8');
    const { nats, monitoring } = JSON.parse(text) as {
      readonly nats?: readonly string[];
      readonly monitoring?: readonly string[];
    };
    const port = portOf(nats?.[0]);
    return port === null ? null : { port, monitorPort: portOf(monitoring?.[0]) };
  } catch {
    return null;
  }
}

/** Removes what servers that were killed have left: another process may have their ids by now. */
export function forgetNatsPorts(folder: string): void {
  for (const name of readdirSync(folder))
    if (name.endsWith('.ports')) rmSync(join(folder, name), { force: true });
}

function portOf(url: string | undefined): number | null {
  const port = url === undefined ? 0 : Number(new URL(url).port);
  return port > 0 ? port : null;
}
