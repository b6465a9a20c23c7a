import { parseArgs } from 'node:util';
import { parseBytes } from '@emloc/device';

/** What `npm run goldens` was asked for. */
export interface GoldensOptions {
  readonly folders: readonly string[];
  /** The name of a device. */
  readonly device: string;
  /** The weights are paged within it. Null: all of them are on the device. */
  readonly vramBytes: number | null;
  readonly json: boolean;
}

export const usage =
  'usage: npm run -s goldens -- FOLDER... [--device cuda] [--vram SIZE] [--json]';

/** @throws Error with the usage for what is no option, and without folders */
export function parseOptions(args: readonly string[]): GoldensOptions {
  const { values, positionals } = parse(args);
  if (positionals.length === 0) throw new Error(`no folder\n${usage}`);
  const { device, vram, json } = values;
  return { folders: positionals, device, vramBytes: bytesOf(vram), json };
}

function bytesOf(vram: string | undefined): number | null {
  if (vram === undefined) return null;
  const bytes = parseBytes(vram);
  if (bytes === null) throw new Error(`--vram ${vram} is no size\n${usage}`);
  return bytes;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        device: { type: 'string', default: 'cpu' },
        vram: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage}`, { cause: error });
  }
}
