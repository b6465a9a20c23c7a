import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

import { openDatasetSession } from '../src/dataset-session.js';
import type { ImageTextOptions } from '../src/images/image-text-options.js';
import type { DatasetSummary, RowOutcome } from '../src/rows/read-dataset.js';
import { loadTokenizer, type ChatTokenizer } from '../src/templates/chat-tokenizer.js';
import { inTemporaryFolder, textOptions, writeTokenizer } from './model-folder.js';

/** Tokens of a model that takes images, at the end of demo-5m's vocabulary. */
export const imageIds = { start: 4096, context: 4097, end: 4098 };

/** Images of 10 pixels a tile and 3 tokens a tile, so that tests stay small. */
export const imageOptions: ImageTextOptions = Object.freeze({
  tileSize: 10,
  tokensPerTile: 3,
  minTiles: 1,
  maxTiles: 6,
  useThumbnail: true,
  exifOrientation: false,
  imageRoot: null,
  restrictToRoot: false,
  allowRemoteImages: false,
  template: 'internvl2_5',
  systemMessage: 'Look.',
});

const addedTokens = Object.fromEntries(
  ['<img>', '<IMG_CONTEXT>', '</img>'].map((content, index) => [
    4096 + index,
    { content, special: true },
  ]),
);

/** Files of a model that takes images; `template` null: the built-in one is meant. */
export function imageModelFiles(template: string | null): Record<string, string | object> {
  return {
    'tokenizer_config.json': { eos_token: '<|im_end|>', added_tokens_decoder: addedTokens },
    ...(template === null ? {} : { 'chat_template.jinja': template }),
  };
}

/** The template of converted checkpoints: a line for each image, in the place of its part. */
export const partsTemplate =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}" +
  "{% if part.type == 'image' %}{{ '<IMG_CONTEXT>\\n' }}{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** A grey PNG. */
export function png(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const pixels = deflateSync(Buffer.alloc(height * (1 + width), 1));
  const parts = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

export interface ReadFile {
  readonly outcomes: readonly RowOutcome[];
  readonly summary: DatasetSummary;
  readonly tokenizer: ChatTokenizer;
}

export interface ReadFileOptions {
  readonly images?: Partial<ImageTextOptions> | null;
  readonly template?: string | null;
  readonly maxLength?: number;
  readonly limit?: number;
}

/** Reads a file of rows with a model that takes images, by default with the built-in template. */
export function readFileOfRows(
  path: string,
  { images = {}, template = null, maxLength = 1000, limit }: ReadFileOptions = {},
): Promise<ReadFile> {
  return inTemporaryFolder(async (folder) => {
    await writeTokenizer(folder, imageModelFiles(template));
    const ofTemplate = template === null ? {} : { template: null };
    const options = {
      ...textOptions,
      images: images && { ...imageOptions, ...ofTemplate, ...images },
    };
    const tokenizer = await loadTokenizer(folder, options);
    await using session = openDatasetSession({ folder, ...options });
    const outcomes: RowOutcome[] = [];
    const reading = session.read({ path, maxLength, limit, withText: true });
    let next = await reading.next();
    for (; next.done !== true; next = await reading.next()) outcomes.push(next.value);
    return { outcomes, summary: next.value, tokenizer };
  });
}

/** The same for rows that are written into a new folder beside `a.png` (30 x 20) and `b.png`. */
export function readImageRows(
  rows: readonly object[],
  options: ReadFileOptions & {
    readonly files?: Readonly<Record<string, string | Uint8Array>>;
  } = {},
): Promise<ReadFile> {
  return inTemporaryFolder(async (folder) => {
    const files = { 'a.png': png(30, 20), 'b.png': png(9, 9), ...options.files };
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), content);
    const path = join(folder, 'rows.jsonl');
    await writeFile(path, rows.map((row) => JSON.stringify(row)).join('\n'));
    return readFileOfRows(path, options);
  });
}

/** What a row became: its text, of which learned parts stand in brackets. */
export function shownText(outcome: RowOutcome | undefined): string {
  if (outcome?.kind !== 'row' || !outcome.text) return JSON.stringify(outcome);
  const { text, ranges } = outcome.text;
  let [shown, place] = ['', 0];
  for (const { start, end } of ranges) {
    shown += `${text.slice(place, start)}[${text.slice(start, end)}]`;
    place = end;
  }
  return shown + text.slice(place);
}
