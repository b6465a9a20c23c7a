import { join } from 'node:path';

import { inFolder, writeTinyModel } from '../test/fixtures.js';
import { sameTensor } from './compare-tensors.js';
import { fromFloat32 } from './floats.js';
import { openCheckpoint } from './open-checkpoint.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

const scalar = (name: string, value: number): SafetensorsEntry => ({
  name,
  dtype: 'float32',
  shape: [],
  data: () => fromFloat32(Float32Array.of(value), 'float32'),
});

it('tells equal tensors from others, those of no dimensions too, until its signal', () =>
  inFolder(async (folder) => {
    await writeTinyModel(folder, { dtype: 'float32', shards: 1 });
    const entries = [scalar('a', 1), scalar('b', 1), scalar('c', 2)];
    await writeSafetensors(join(folder, 'model.safetensors'), entries, {});
    await using checkpoint = await openCheckpoint(folder);
    expect(await sameTensor(checkpoint, ['a', 'b'])).toBe(true);
    expect(await sameTensor(checkpoint, ['a', 'c'])).toBe(false);
    const reason = new Error('stopped');
    const compared = sameTensor(checkpoint, ['a', 'b'], AbortSignal.abort(reason));
    await expect(compared).rejects.toBe(reason);
  }));
