import type { EncodedRow } from '@emloc/dataset';
import { Device, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { BreadthFirstPass, inferenceOrder } from '@emloc/finetune';
import type { Batches, ImageLimits, Model } from '@emloc/models';
import { TextTables, type TextBatches } from '@emloc/tasks';
import { allDeviceBytes, openPager } from '@emloc/weight-pager';

import { imagesOf, rowsWith } from '../job/images.js';

/**
 * Device memory that inference takes: all weights in the compute dtype and one prefill of `tokens`
 * tokens, to its next token; for a model that takes images, with one of as many tiles as go into
 * them.
 */
export function inferenceBytes(
  model: Model,
  profile: DeviceProfile,
  tokens: number,
): Promise<number> {
  return residentBytes(model, profile, prefill(model, tokens));
}

/** Device memory of all weights in the compute dtype and one pass of batches through them. */
export async function residentBytes(
  model: Model,
  profile: DeviceProfile,
  batches: Batches,
): Promise<number> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  await using device = new Device(createNullBackend(profile), budget);
  const { layout, source } = model;
  const allBytes = allDeviceBytes(source, device);
  await using pager = openPager({
    device,
    source,
    deviceBytes: allBytes,
    hostBytes: Number.POSITIVE_INFINITY,
    reads: 'none',
  });
  pager.schedule(inferenceOrder(layout));
  using pass = new BreadthFirstPass({
    model: { device, layout, pager },
    batches,
    variants: [null],
  });
  for (const block of layout.blocks) await pass.run(block);
  return budget.peakBytes;
}

function prefill({ layout }: Model, tokens: number): TextBatches {
  const trained = new Uint8Array(tokens);
  trained[tokens - 1] = 1;
  const images = layout.images ? imagesIn(layout.images, tokens) : [];
  const rows = [{ ids: new Int32Array(tokens), trained, line: 0, images }];
  const all = imagesOf(rows, { layout, touched: new Set(), exifOrientation: false });
  const rowsOf = rowsWith(all && { ...all, front: null }, new TextTables(layout, null));
  return { source: rowsOf(rows), rows: [[0]] };
}

/** One image of the most tiles that go into so many tokens; none where not even one does. */
function imagesIn(
  { maxTiles, useThumbnail, tokensPerTile }: ImageLimits,
  tokens: number,
): NonNullable<EncodedRow['images']> {
  const most = maxTiles > 1 && useThumbnail ? maxTiles + 1 : maxTiles;
  const tiles = Math.min(most, Math.floor(tokens / tokensPerTile));
  if (tiles === 0) return [];
  const input = { kind: 'bytes', bytes: new Uint8Array(), label: '' } as const;
  const size = { width: 1, height: 1 };
  return [
    { input, ...size, tiles, maxTiles, contextStart: 0, contextTokens: tiles * tokensPerTile },
  ];
}
