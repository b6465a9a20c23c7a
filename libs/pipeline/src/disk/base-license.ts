import { join } from 'node:path';
import { readRegularFile } from '@emloc/untrusted';

const maxCardBytes = 2 ** 24;

/**
 * The licence that the card of a base model names at its head, as an identifier of hubs; null where
 * the folder has no card, or the card does not say it so.
 */
export async function baseLicense(model: string): Promise<string | null> {
  const text = await readRegularFile(join(model, 'README.md'), maxCardBytes).then(
    (bytes) => bytes.toString('utf8'),
    () => '',
  );
  const head = /^---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(text)?.[1] ?? '';
  return /^license:[ \t]*["']?([a-z0-9][a-z0-9.+-]{0,63})["']?[ \t]*\r?$/im.exec(head)?.[1] ?? null;
}
