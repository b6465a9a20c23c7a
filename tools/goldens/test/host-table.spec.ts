import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import { openSafetensors, writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';
import { deviceTarget } from '@emloc/device-registry';
import { compareGolden, unpackFixture } from '@emloc/golden-models';
import { resolveTuneOptions, tune } from '@emloc/pipeline';

import { measureFolder } from '../src/measure-folder.js';

const table = 'model.embed_tokens_per_layer.weight';
/** Tokens of the table, far more than the model has: in float32 it takes 18 MiB, the rest 1 MiB. */
const entries = 2 ** 17;
const vramBytes = 4 * 2 ** 20;

/** Writes a folder's weights again, with rows at the end of the table that nothing looks up. */
async function lengthen(folder: string): Promise<number> {
  const path = join(folder, 'model.safetensors');
  await using file = await openSafetensors(path);
  const written: SafetensorsEntry[] = [];
  for (const [name, { shape, dtype, start, end }] of file.tensors) {
    const bytes = new Uint8Array(end - start);
    await file.read(name, bytes);
    const [rows = 1, width = 1] = shape;
    if (name !== table) written.push({ name, shape, dtype, data: () => bytes });
    else {
      const longer = new Uint8Array((bytes.length / rows) * entries);
      longer.set(bytes);
      written.push({ name, shape: [entries, width], dtype, data: () => longer });
    }
  }
  await writeSafetensors(`${path}.new`, written, {});
  await writeFile(path, await readFile(`${path}.new`));
  await rm(`${path}.new`);
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
  const longer = { ...config, vocab_size_per_layer_input: entries };
  await writeFile(join(folder, 'config.json'), JSON.stringify(longer));
  const { shape } = get(new Map(written.map((each) => [each.name, each])), table);
  return 4 * shape.reduce((product, extent) => product * extent, 1);
}

it('a table of inputs never enters the device, whose memory is a fraction of it', async () => {
  const fixture = await unpackFixture('gemma4-e', { tokenizer: true });
  const { folder, golden } = fixture;
  const target = deviceTarget('cpu');
  try {
    expect(await lengthen(folder)).toBeGreaterThan(4 * vramBytes);
    const measured = await measureFolder(folder, golden, { target, vramBytes });
    expect(compareGolden(golden, measured).wrong).toEqual([]);

    const row = { prompt: 'what is it', completion: ' a device' };
    await writeFile(`${folder}.jsonl`, `${JSON.stringify(row)}\n`.repeat(4));
    const [data, out] = [`${folder}.jsonl`, `${folder}-adapter`];
    const options = { model: folder, data, validation: data, out, date: '2026-01-31', vramBytes };
    const { peakDeviceBytes } = await tune(
      resolveTuneOptions({ ...options, steps: 1, refineSteps: 1, calibrationRows: 2, batch: 2 }),
      { target, provenance: { program: 'test', device: 'cpu' } },
    );
    expect(peakDeviceBytes).toBeLessThanOrEqual(vramBytes);
  } finally {
    await fixture.close();
    for (const rest of ['.jsonl', '-adapter'])
      await rm(`${folder}${rest}`, { recursive: true, force: true });
  }
});
