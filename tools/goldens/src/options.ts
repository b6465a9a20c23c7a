import { parseArgs } from 'node:util';
import { parseBytes } from '@emloc/device';

/** What `npm run goldens` was asked for. */
export interface GoldensOptions {
  /** With `fixtures` names of fixtures there, none for all. */
  readonly folders: readonly string[];
  /** A folder of packed fixtures. Null: the folders are goldens themselves. */
  readonly fixtures: string | null;
  /** The name of a device. */
  readonly device: string;
  /** The weights are paged within it. Null: all of them are on the device. */
  readonly vramBytes: number | null;
  readonly json: boolean;
}

export const usage =
  'usage: npm run -s goldens -- {FOLDER... | --fixtures DIR [NAME...]} [--device cuda] [--vram SIZE] [--json]';

/** @throws Error with the usage for what is no option, and without folders */
export function parseOptions(args: readonly string[]): GoldensOptions {
  const { values, positionals } = parse(args);
  const { fixtures = null, device, vram, json } = values;
  if (positionals.length === 0 && fixtures === null) throw new Error(`no folder\n${usage}`);
  return { folders: positionals, fixtures, device, vramBytes: bytesOf(vram), json };
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
        fixtures: { type: 'string' },
        device: { type: 'string', default: 'cpu' },
        vram: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${usage}`, { cause: error });
  }
}
