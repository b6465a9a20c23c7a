import { join } from 'node:path';

import {
  contentsOf,
  expectRefusal,
  inFolder,
  randomValues,
  tinyAdapter,
  tinyTensors,
  writeTinyModel,
} from '../../test/fixtures.js';
import { fromFloat32 } from '../floats.js';
import type { LoraAdapter } from '../lora-adapter.js';
import { readPeftAdapter } from '../read-peft.js';
import { openSafetensors } from '../safetensors-file.js';
import { writePeftAdapter } from '../write-peft.js';
import { writeSafetensors, type SafetensorsEntry } from '../write-safetensors.js';
import { mergeCheckpoint } from './merge.js';

type Naming = 'current' | 'former';
/** Of module paths: those of the language model's class alone, too. */
type PathNaming = Naming | 'alone';

const namings: readonly Naming[] = ['current', 'former'];
const pathNamings: readonly PathNaming[] = [...namings, 'alone'];
const combinations = namings.flatMap((stored) =>
  pathNamings.map((adapted) => ({ stored, adapted })),
);

/** A name of the tiny model within a wrapper. */
function within(naming: PathNaming, name: string): string {
  if (naming === 'alone') return name;
  if (name.startsWith('lm_head')) return naming === 'current' ? name : `language_model.${name}`;
  return name.replace(
    'model',
    naming === 'current' ? 'model.language_model' : 'language_model.model',
  );
}

function tower(naming: Naming): string {
  return `${naming === 'current' ? 'model.' : ''}vision_tower.layers.7.self_attn.q_proj.weight`;
}

interface Wrapped {
  readonly naming: Naming;
  readonly config?: Record<string, unknown>;
  /** Values of an LM head; absent: there is none. */
  readonly head?: Float32Array;
}

/** The tiny model within a wrapper, beside a tower whose layers are called as the model's are. */
async function writeWrapped(folder: string, { naming, config, head }: Wrapped): Promise<void> {
  const shape = { dtype: 'float32', shards: 1, config } as const;
  await writeTinyModel(folder, shape);
  const tensors = new Map(tinyTensors());
  if (head) tensors.set('lm_head.weight', { shape: [12, 6], values: head });
  const entries = [...tensors].map(([name, tensor]) => entry(within(naming, name), tensor));
  const values = randomValues(6 * 8, 99);
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    [...entries, entry(tower(naming), { shape: [8, 6], values })],
    {},
  );
}

function entry(
  name: string,
  { shape, values }: { shape: number[]; values: Float32Array },
): SafetensorsEntry {
  return { name, shape, dtype: 'float32', data: () => fromFloat32(values, 'float32') };
}

function wrappedAdapter(naming: PathNaming, adapter = tinyAdapter()): LoraAdapter {
  const layers = [...adapter.layers].map(([path, layer]) => [within(naming, path), layer] as const);
  return { ...adapter, layers: new Map(layers) };
}

function headAdapter(): LoraAdapter {
  const layer = {
    a: randomValues(2 * 6, 1),
    b: randomValues(12 * 2, 2),
    inFeatures: 6,
    outFeatures: 12,
  };
  return tinyAdapter({ layers: new Map([['lm_head', layer]]) });
}

async function tensorsOf(folder: string): Promise<Map<string, string>> {
  const file = await openSafetensors(join(folder, 'model.safetensors'));
  const tensors = new Map<string, string>();
  for (const [name, { start, end }] of file.tensors) {
    const bytes = new Uint8Array(end - start);
    await file.read(name, bytes);
    tensors.set(name, Buffer.from(bytes).toString('hex'));
  }
  await file.close();
  return tensors;
}

describe.each(combinations)(
  'a wrapper under $stored names and an adapter of $adapted module paths',
  ({ stored, adapted }) => {
    it('merge to what the model alone does, and leave the tower as it is', () =>
      inFolder(async (folder) => {
        const [plain, model] = [join(folder, 'plain'), join(folder, 'model')];
        await writeTinyModel(plain, { dtype: 'float32', shards: 1 });
        await writeWrapped(model, { naming: stored });
        const alone = join(folder, 'alone');
        const out = join(folder, 'out');
        await mergeCheckpoint({ model: plain, adapter: tinyAdapter(), out: alone });
        await mergeCheckpoint({ model, adapter: wrappedAdapter(adapted), out });
        const expected = [...(await tensorsOf(alone))].map(([name, bytes]) => [
          within(stored, name),
          bytes,
        ]);
        const before = await tensorsOf(model);
        const merged = await tensorsOf(out);
        expect(merged).toEqual(
          new Map([...expected, [tower(stored), before.get(tower(stored))]] as [string, string][]),
        );
        expect((await contentsOf(out)).get('config.json')).toEqual(
          (await contentsOf(model)).get('config.json'),
        );
      }));

    it('go together with copies that PEFT keeps of the base', () =>
      inFolder(async (folder) => {
        const [base, path] = [join(folder, 'base'), join(folder, 'adapter')];
        await writeWrapped(base, { naming: stored });
        await writePeftAdapter(path, wrappedAdapter(adapted));
        const file = join(path, 'adapter_model.safetensors');
        const opened = await openSafetensors(file);
        const lora = await Promise.all(
          [...opened.tensors].map(async ([name, { shape, start, end }]) => {
            const bytes = new Uint8Array(end - start);
            await opened.read(name, bytes);
            return { name, shape, dtype: 'float32' as const, data: () => bytes };
          }),
        );
        await opened.close();
        const embedding = tinyTensors().get('model.embed_tokens.weight');
        if (!embedding) throw new Error('an embedding expected');
        // The head of the base is its embedding.
        const copies = ['model.embed_tokens.weight', 'lm_head.base_layer.weight'].map((name) =>
          entry(`base_model.model.${within(adapted, name)}`, embedding),
        );
        await writeSafetensors(file, [...lora, ...copies], {});
        const read = await readPeftAdapter(path, { base });
        expect(read.layers.size).toBe(tinyAdapter().layers.size);
      }));

    it('merge into a head of its own, and not into a tied one', () =>
      inFolder(async (folder) => {
        const [own, tied] = [join(folder, 'own'), join(folder, 'tied')];
        const adapter = wrappedAdapter(adapted, headAdapter());
        await writeWrapped(own, { naming: stored, head: randomValues(72, 5) });
        await mergeCheckpoint({ model: own, adapter, out: join(folder, 'out') });
        const head = within(stored, 'lm_head.weight');
        const [before, after] = [await tensorsOf(own), await tensorsOf(join(folder, 'out'))];
        expect(after.get(head)).not.toEqual(before.get(head));
        after.delete(head);
        before.delete(head);
        expect(after).toEqual(before);
        const { values } = tinyTensors().get('model.embed_tokens.weight') ?? {};
        for (const copy of [undefined, values]) {
          await writeWrapped(tied, { naming: stored, head: copy });
          await expectRefusal(
            mergeCheckpoint({ model: tied, adapter, out: join(folder, 'refused') }),
            'CHECKPOINT_ADAPTER_MISMATCH',
            /lm_head is tied to the embedding/,
          );
        }
      }));
  },
);

describe('tensors that guess further tokens', () => {
  const guessing = ['mtp.fc.weight', 'mtp.layers.0.mlp.up_proj.weight'];

  it('stay as they are in their own dtype, and the report says so', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await writeWrapped(model, { naming: 'current' });
      const file = await openSafetensors(join(model, 'model.safetensors'));
      const kept = await Promise.all(
        [...file.tensors].map(async ([name, { shape, start, end }]) => {
          const bytes = new Uint8Array(end - start);
          await file.read(name, bytes);
          return { name, shape, dtype: 'float32' as const, data: () => bytes };
        }),
      );
      await file.close();
      const values = fromFloat32(randomValues(48, 3), 'bfloat16');
      const added = guessing.map((name): SafetensorsEntry => ({
        ...{ name, shape: [8, 6], dtype: 'bfloat16', data: () => values },
      }));
      await writeSafetensors(join(model, 'model.safetensors'), [...kept, ...added], {});
      const { notices } = await mergeCheckpoint({ model, adapter: wrappedAdapter('alone'), out });
      expect(notices).toEqual([expect.stringContaining('2 tensors of the multi-token prediction')]);
      const merged = await tensorsOf(out);
      for (const name of guessing)
        expect(merged.get(name)).toBe(Buffer.from(values).toString('hex'));
    }));

  it('are none in other models, of which nothing is said', () =>
    inFolder(async (folder) => {
      const [model, out] = [join(folder, 'model'), join(folder, 'out')];
      await writeWrapped(model, { naming: 'current' });
      const { notices } = await mergeCheckpoint({ model, adapter: wrappedAdapter('current'), out });
      expect(notices).toEqual([]);
    }));
});

describe.each(namings)('a wrapper under %s names', (naming) => {
  it('is not merged with more layers than its text_config says', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      // The tower may have any number of layers.
      const config = { num_hidden_layers: 99, text_config: { num_hidden_layers: 1 } };
      await writeWrapped(model, { naming, config });
      const options = { model, adapter: wrappedAdapter(naming), out: join(folder, 'out') };
      const path = within(naming, 'model.layers.1').replaceAll('.', '\\.');
      await expectRefusal(
        mergeCheckpoint(options),
        'CHECKPOINT_UNUSED_LAYERS',
        new RegExp(`has ${path}, but config\\.json says 1 layers`),
      );
      await writeWrapped(model, { naming, config: { text_config: { num_hidden_layers: 2 } } });
      await mergeCheckpoint(options);
    }));

  it('is not merged with a layer that an adapter has under both names', () =>
    inFolder(async (folder) => {
      const model = join(folder, 'model');
      await writeWrapped(model, { naming });
      const layers = namings.flatMap((each) => [...wrappedAdapter(each).layers]);
      const adapter = tinyAdapter({ layers: new Map(layers) });
      await expectRefusal(
        mergeCheckpoint({ model, adapter, out: join(folder, 'out') }),
        'CHECKPOINT_ADAPTER_INVALID',
        /has the layer .* twice/,
      );
    }));

  it('has linear layers that adapters of either name are read for', () =>
    inFolder(async (folder) => {
      const linearModules = wrappedAdapter(naming).layers;
      for (const each of pathNamings) {
        const path = join(folder, each);
        await writePeftAdapter(path, wrappedAdapter(each));
        const read = await readPeftAdapter(path, { linearModules });
        expect([...read.layers.keys()].sort()).toEqual([...linearModules.keys()].sort());
      }
    }));
});
