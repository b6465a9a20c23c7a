import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mergeCheckpoint, openSafetensors, readAdapter } from '@emloc/checkpoint';
import { deviceTarget } from '@emloc/device-registry';
import { unpackFixture, type GoldenFixture } from '@emloc/golden-models';
import { resolveTuneOptions, tune, type JobEvent } from '@emloc/pipeline';

type TuneHost = Parameters<typeof tune>[1];

const gates = /\.linear_attn\.in_proj_[ab]$/;
const hasher = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

describe('a job on a wrapper with delta nets', () => {
  let fixture: GoldenFixture;
  let data: string;
  /** Of a run without an interruption. */
  let whole: string;

  beforeAll(async () => {
    fixture = await unpackFixture('qwen3_5-wrapper', { tokenizer: true });
    data = `${fixture.folder}.jsonl`;
    const rows = ['one', 'two', 'three', 'four'].map((word) => ({
      messages: [
        { role: 'user', content: `what is ${word}` },
        // Longer than a chunk.
        { role: 'assistant', content: `${word} `.repeat(24) },
      ],
    }));
    await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    whole = await run('whole');
  });

  afterAll(async () => {
    await fixture.close();
    await rm(data);
    await rm(whole, { recursive: true });
  });

  async function run(name: string, host: Partial<TuneHost> = {}): Promise<string> {
    const out = `${fixture.folder}-${name}`;
    const options = resolveTuneOptions({
      ...{ model: fixture.folder, data, validation: data, out, date: '2026-01-31' },
      ...{ vramBytes: 2 ** 22, steps: 3, refineSteps: 2, batch: 2, rank: 2, calibrationRows: 2 },
      ratios: ['.*in_proj_[ab]=1', '.*=0.5'],
      targets: '.*',
    });
    const provenance = { program: 'test', device: 'cpu' };
    await tune(options, { target: deviceTarget('cpu'), provenance, checkpointSteps: 1, ...host });
    return out;
  }

  const filesOf = (folder: string): Promise<readonly string[]> =>
    Promise.all(
      ['adapter_model.safetensors', 'adapter_config.json', 'emloc.json'].map(async (name) =>
        hasher(await readFile(join(folder, name))),
      ),
    );

  it.each(['train', 'refine'] as const)(
    'goes on after an end while it is in %s to the bytes that it has without one',
    async (stage) => {
      const abort = new AbortController();
      const observer = (event: JobEvent): void => {
        if (event.type === 'step' && event.stage === stage) abort.abort(new Error('stopped'));
      };
      await expect(run('part', { observer, signal: abort.signal })).rejects.toMatchObject({
        code: 'PIPELINE_INTERRUPTED',
      });
      const resumed = await run('part', { mode: 'resume' });
      const files = await filesOf(resumed);
      await rm(resumed, { recursive: true });
      expect(files).toEqual(await filesOf(whole));
    },
  );

  it('adapts decay and write strength where targets name them, and merges with every dtype kept', async () => {
    const merged = `${fixture.folder}-merged`;
    const adapter = await readAdapter(whole);
    expect([...adapter.layers.keys()].filter((path) => gates.test(path))).toHaveLength(4);
    await mergeCheckpoint({ model: fixture.folder, adapter, out: merged });
    const [before, after] = await Promise.all([fixture.folder, merged].map(contentsOf));
    await rm(merged, { recursive: true });
    expect(dtypesOf(after)).toEqual(dtypesOf(before));
    expect(new Set(dtypesOf(before).values())).toEqual(new Set(['float32', 'bfloat16']));
    const changed = [...(after ?? [])].filter(
      ([name, { hash }]) => hash !== before?.get(name)?.hash,
    );
    expect(changed.map(([name]) => name.replace(/\.weight$/, '')).sort()).toEqual(
      [...adapter.layers.keys()].sort(),
    );
  });
});

type Contents = ReadonlyMap<string, { readonly dtype: string; readonly hash: string }>;

async function contentsOf(folder: string): Promise<Contents> {
  await using file = await openSafetensors(join(folder, 'model.safetensors'));
  const contents = new Map<string, { dtype: string; hash: string }>();
  for (const [name, { dtype, start, end }] of file.tensors) {
    const bytes = new Uint8Array(end - start);
    await file.read(name, bytes);
    contents.set(name, { dtype, hash: hasher(bytes) });
  }
  return contents;
}

function dtypesOf(contents: Contents | undefined): ReadonlyMap<string, string> {
  return new Map([...(contents ?? [])].map(([name, { dtype }]) => [name, dtype]));
}
