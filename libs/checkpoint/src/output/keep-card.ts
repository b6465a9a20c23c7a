import { createHash } from 'node:crypto';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile } from '@emloc/untrusted';

import { cardFileName, recordFileName } from './output-files.js';
import { ownedFiles } from './owned.js';

const maxBytes = 100_000_000;

/**
 * Lets a card that its owner has written, or changed, stay what it is where a new output takes the
 * old one's place.
 * @param folder the output that is there
 * @param staged the folder of the new one, with a card of its own
 */
export async function keepCard(folder: string, staged: string): Promise<void> {
  const current = await readRegularFile(join(folder, cardFileName), maxBytes).catch(() => null);
  if (current === null) return;
  if ((await ownedFiles(folder))?.includes(cardFileName) !== true) {
    await rm(join(staged, cardFileName), { force: true });
    return;
  }
  const hash = createHash('sha256').update(current).digest('hex');
  if (hash !== (await writtenHash(folder)))
    await copyFile(join(folder, cardFileName), join(staged, cardFileName));
}

/** What the record says of the card as it was written. */
async function writtenHash(folder: string): Promise<unknown> {
  const text = (await readRegularFile(join(folder, recordFileName), maxBytes)).toString('utf8');
  return (JSON.parse(text) as { readonly card?: unknown }).card;
}
