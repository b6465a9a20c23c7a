import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  currentName,
  mergeCheckpoint,
  openCheckpoint,
  openSafetensors,
  readPeftAdapter,
  writePeftAdapter,
} from '@emloc/checkpoint';
import { DeviceError, roughRates } from '@emloc/device';
import { deviceTarget } from '@emloc/device-registry';
import { fixtureNames, unpackFixture, type GoldenFixture } from '@emloc/golden-models';
import { openModel } from '@emloc/models';
import {
  evaluateModel,
  planTune,
  resolveEvaluateOptions,
  resolveTuneOptions,
  tune,
  type TuneReport,
} from '@emloc/pipeline';

const current = 'model.language_model.';

/** The name that a wrapper's tensor or module had before transformers 4.52. */
function formerName(name: string): string {
  if (name.startsWith(current)) return `language_model.model.${name.slice(current.length)}`;
  return name === 'lm_head.weight' ? `language_model.${name}` : name.replace(/^model\./, '');
}

function isWrapper(kind: string): boolean {
  return kind.includes('ForConditionalGeneration');
}

/** A fixture of each architecture; wrappers under the names of old checkpoints, too. */
async function kinds(): Promise<{ kind: string; name: string; isFormer: boolean }[]> {
  const byArchitecture = new Map<string, string>();
  for (const name of fixtureNames()) {
    const { folder, close } = await unpackFixture(name);
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as {
      architectures: string[];
    };
    await close();
    const [architecture = ''] = config.architectures;
    byArchitecture.set(architecture, byArchitecture.get(architecture) ?? name);
  }
  return [...byArchitecture].flatMap(([kind, name]) => [
    { kind, name, isFormer: false },
    ...(isWrapper(kind) ? [{ kind: `${kind} as in old checkpoints`, name, isFormer: true }] : []),
  ]);
}

const questions = ['one', 'two', 'three', 'four', 'five', 'six'];

/** Rows that all have the same answer. */
function rowsOf(words: readonly string[]): string {
  const rows = words.map((word) => ({
    messages: [
      { role: 'user', content: `what is ${word}` },
      { role: 'assistant', content: 'a device' },
    ],
  }));
  return `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;
}

const target = deviceTarget('cpu');

/** The same device where it cannot be had, so that a plan is made without measuring it. */
const elsewhere = {
  profile: target.profile,
  open: () => Promise.reject(new DeviceError('DEVICE_UNAVAILABLE', 'none here')),
  ratesElsewhere: roughRates({
    flopsPerSecond: 1e11,
    factorizationFlopsPerSecond: 1e10,
    bytesPerSecond: 1e10,
    copyBytesPerSecond: 1e10,
    secondsPerLaunch: 1e-6,
  }),
};

/** Linears that only patterns adapt. */
const unnamed = /\.(linear_attn\.in_proj_[ab]|per_layer_input_gate|per_layer_projection)$/;

function adapted({ golden }: GoldenFixture): string[] {
  return [...golden.lora.gradients.keys()].filter((path) => !unnamed.test(path));
}

describe.each(await kinds())('a job on $kind', ({ kind, name, isFormer }) => {
  let fixture: GoldenFixture;
  let report: TuneReport;

  const options = () =>
    resolveTuneOptions({
      model: fixture.folder,
      data: `${fixture.folder}.jsonl`,
      validation: `${fixture.folder}.jsonl`,
      out: `${fixture.folder}-adapter`,
      date: '2026-01-31',
      vramBytes: 2 ** 22,
      steps: 3,
      refineSteps: 1,
      batch: 6,
      rank: 4,
      calibrationRows: 4,
      correction: 1,
      learningRate: 1e-2,
      schedule: 'constant',
      warmupRatio: 0,
    });
  const loss = async (model: string, adapter: string | null): Promise<number> => {
    const data = options().data;
    const asked = resolveEvaluateOptions({ model, adapter, data, date: '2026-01-31' });
    return (await evaluateModel(asked, { target })).loss;
  };

  beforeAll(async () => {
    fixture = await unpackFixture(name, {
      tokenizer: true,
      ...(isFormer && { rename: formerName }),
    });
    await writeFile(options().data, rowsOf(questions));
    const provenance = { program: 'test', device: 'cpu' };
    report = await tune(options(), { target, provenance });
  });

  afterAll(async () => {
    await fixture.close();
    for (const rest of ['.jsonl', '-adapter', '-merged'])
      await rm(`${fixture.folder}${rest}`, { recursive: true });
  });

  it('takes the memory that its plan says', async () => {
    const { plan } = await planTune(options(), elsewhere);
    const peaks = (stages: TuneReport['stages']) =>
      stages.map((stage) => [stage.name, stage.peakDeviceBytes]);
    expect(peaks(report.stages)).toEqual(peaks(plan.stages));
  });

  it('lowers the loss, on its emulator, too', () => {
    const { base, emulator, emulatorTuned, refined } = report.validation;
    expect(refined).toBeLessThan(0.99 * base);
    expect(emulatorTuned).toBeLessThan(0.99 * (emulator ?? 0));
  });

  it('writes the keys that PEFT has', async () => {
    const file = await openSafetensors(join(options().out, 'adapter_model.safetensors'));
    const expected = adapted(fixture).flatMap((path) => [
      `base_model.model.${path}.lora_A.weight`,
      `base_model.model.${path}.lora_B.weight`,
    ]);
    expect([...file.tensors.keys()].sort()).toEqual(expected.sort());
    await file.close();
  });

  it('has PEFT select just the layers that it adapts', async () => {
    const { model, out } = options();
    const { layout, close } = await openModel(model);
    const { ignored = [] } = layout.others;
    await close();
    const isStray = (path: string): boolean =>
      ignored.some((prefix) => `${path}.`.startsWith(currentName(prefix)));
    const checkpoint = await openCheckpoint(model);
    const matrices = [...checkpoint.tensors].filter(([, { shape }]) => shape.length === 2);
    await checkpoint.close();
    const modules = matrices
      .map(([tensor]) => currentName(tensor).replace(/\.weight$/, ''))
      // Classes leave out what they do not read.
      .filter((path) => !isStray(path));
    const { target_modules: targets } = JSON.parse(
      await readFile(join(out, 'adapter_config.json'), 'utf8'),
    ) as { target_modules: string[] | string };
    const selected = modules.filter((path) =>
      typeof targets === 'string'
        ? new RegExp(`^(?:${targets})$`).test(path)
        : targets.some((suffix) => path === suffix || path.endsWith(`.${suffix}`)),
    );
    expect(selected.sort()).toEqual(adapted(fixture).sort());
  });

  it('has in a merged checkpoint the loss of base and adapter', async () => {
    const { model, out } = options();
    const merged = `${fixture.folder}-merged`;
    const adapter = await readPeftAdapter(out, { base: model });
    await mergeCheckpoint({ model, adapter, out: merged, dtype: 'float32' });
    const [ours, theirs] = [await loss(model, out), await loss(merged, null)];
    expect(Math.abs(ours - theirs)).toBeLessThan(1e-4);
    expect(Math.abs(ours - (report.validation.refined ?? 0))).toBeLessThan(1e-5);
  });

  if (isWrapper(kind))
    it('has the same loss with the module paths of old adapters', async () => {
      const { model, out } = options();
      const former = `${fixture.folder}-adapter-former`;
      const adapter = await readPeftAdapter(out);
      const layers = [...adapter.layers].map(([path, layer]) => [formerName(path), layer] as const);
      await writePeftAdapter(former, { ...adapter, layers: new Map(layers) });
      const [ours, theirs] = [await loss(model, out), await loss(model, former)];
      await rm(former, { recursive: true });
      expect(theirs).toBe(ours);
    });
});
