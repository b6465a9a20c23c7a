import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { expectRefusal, inFolder, tinyAdapter, writeTinyModel } from '../../test/fixtures.js';
import { openShards } from '../open-checkpoint.js';
import { mergeCheckpoint, type MergeReport } from './merge.js';
import { planMerge } from './plan.js';
import { verifyMerge } from './verify.js';

/** Merges, lets `spoil` change the result, and verifies it as `mergeCheckpoint` does. */
async function verifyAfter(
  folder: string,
  spoil: (out: string, report: MergeReport) => Promise<void>,
  alpha = 4,
): Promise<void> {
  const [model, out] = [join(folder, 'model'), join(folder, 'out')];
  await writeTinyModel(model, { dtype: 'bfloat16', shards: 2 });
  const report = await mergeCheckpoint({ model, adapter: tinyAdapter(), out });
  await spoil(out, report);
  const source = await openShards(model);
  try {
    const plan = planMerge(source, tinyAdapter({ alpha }), undefined);
    await verifyMerge(out, { source, plan, written: new Map(Object.entries(report.files)) });
  } finally {
    await source.close();
  }
}

const first = 'model-00001-of-00002.safetensors';

it('accepts what was merged', () => inFolder((folder) => verifyAfter(folder, async () => {})));

it('finds one flipped bit on the disk', () =>
  inFolder((folder) =>
    expectRefusal(
      verifyAfter(folder, async (out) => {
        const file = await open(join(out, first), 'r+');
        const { size } = await file.stat();
        const byte = Buffer.alloc(1);
        await file.read(byte, 0, 1, size - 3);
        byte.writeUInt8(byte.readUInt8() ^ 1);
        await file.write(byte, 0, 1, size - 3);
        await file.close();
      }),
      'CHECKPOINT_VERIFICATION_FAILED',
      /reads back as SHA-256/,
    ),
  ));

it('finds values that are not the source plus the adapter, though they were written so', () =>
  inFolder((folder) =>
    expectRefusal(
      verifyAfter(folder, async () => {}, 5),
      'CHECKPOINT_VERIFICATION_FAILED',
      /proj.weight differs from its recomputed value/,
    ),
  ));

it('finds another set of tensors', () =>
  inFolder((folder) =>
    expectRefusal(
      verifyAfter(folder, async (out) => {
        await writeTinyModel(out, { dtype: 'float32', shards: 2 });
      }),
      'CHECKPOINT_VERIFICATION_FAILED',
      /holds \d+ tensors, and not just/,
    ),
  ));
