import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

import { longTexts } from './shape-model.js';

/** Six tiles of 448 and a thumbnail. */
const width = 1344;
const height = 896;

/**
 * Writes rows of one image each, which are longer than 2,048 tokens, so that a job's maximum length
 * cuts them all to the same; the images lie beside the file.
 */
export async function makeImageRows(path: string, count: number): Promise<void> {
  const folder = path.replace(/\.jsonl$/, '.images');
  await mkdir(folder, { recursive: true });
  const rows: string[] = [];
  for (const [row, content] of (await longTexts(count)).entries()) {
    const image = `${row}.png`;
    await writeFile(join(folder, image), drawPng(row));
    const messages = [
      { role: 'user', content: '<image>\nWrite the orders of the day.' },
      { role: 'assistant', content },
    ];
    rows.push(JSON.stringify({ messages, images: [`${basename(folder)}/${image}`] }));
  }
  await writeFile(path, `${rows.join('\n')}\n`);
}

/** A picture of stripes and a gradient, as PNG: no two seeds give the same. */
function drawPng(seed: number): Uint8Array {
  const lineBytes = 1 + 3 * width;
  const lines = new Uint8Array(height * lineBytes);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const at = y * lineBytes + 1 + 3 * x;
      lines[at] = ((x + 37 * seed) * 255) / width;
      lines[at + 1] = (Math.floor(x / (8 + seed)) % 2) * 200;
      lines[at + 2] = (Math.floor((x + y) / (24 + 3 * seed)) % 3) * 120;
    }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([size, body, sum]);
}
