import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultTuneOptions, resolveTuneOptions } from '@emloc/pipeline';
import { Command } from 'commander';

import type { RawValues } from './command/define-command.js';
import { toOptions } from './command/flag.js';
import { applyConfigFile } from './config-file.js';
import { commonFlags } from './flags/common.js';
import { deviceFlags } from './flags/device.js';
import { optionFlags, optionValues, rivalOf } from './flags/options.js';
import { UsageError } from './usage-error.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-flags-'));

const template = join(folder, 'template.jinja');

writeFileSync(template, '\ufeff{{ messages }}\r\n');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function parse(...args: readonly string[]): Command {
  const command = new Command('tune').exitOverride().configureOutput({ writeErr: () => undefined });
  for (const option of [...optionFlags('tune'), ...toOptions({ ...deviceFlags, ...commonFlags })])
    command.addOption(option);
  return command.parse(args, { from: 'user' });
}

/** Values of the flags with a config file of this text. */
function withConfig(text: string, ...args: readonly string[]): RawValues {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  const command = parse('--config', file, ...args);
  applyConfigFile(command, { rivalOf });
  return command.opts();
}

describe('optionValues', () => {
  it('maps every flag of a job to its option', () => {
    const command = parse(
      '--model',
      'm',
      '--data',
      'd',
      '--data',
      'e',
      '--data-weights',
      '1,0.5,2',
      '--data',
      'f:2.jsonl',
      '--validation',
      'v',
      '--init-adapter',
      'earlier',
      '--vram',
      '2GiB',
      '--host-memory',
      '1GiB',
      '--method',
      'emulator',
      '--ratio',
      'a=0.4',
      '--ratio',
      '0.5',
      '--rank',
      '4',
      '--alpha',
      '8',
      '--rslora',
      '--targets',
      '.*q_proj',
      '--lr',
      '1e-3',
      '--schedule',
      'linear',
      '--warmup-ratio',
      '0.1',
      '--weight-decay',
      '0.01',
      '--max-grad-norm',
      '2',
      '--steps',
      '7',
      '--batch',
      '3',
      '--grad-accum',
      '2',
      '--max-length',
      '99',
      '--calibration',
      '5',
      '--emulator-metric',
      'loss',
      '--factors',
      'fast',
      '--storage',
      'nf4',
      '--correction',
      '2.5',
      '--refine-steps',
      '0',
      '--refine-lr',
      '1e-5',
      '--eval-steps',
      '50',
      '--patience',
      '3',
      '--lora-dropout',
      '0.05',
      '--anchor-steps',
      '10',
      '--anchor-rows',
      '64',
      '--seed',
      '11',
      '--no-prefetch',
      '--date',
      '2024-02-29',
      '--chat-template',
      template,
      '--template-args',
      '{"a": 1}',
      '--columns',
      'prompt=question',
      '--strict',
      '--base-name',
      'org/name',
      '--allow-unused-layers',
      '--max-tiles',
      '12',
      '--exif-orientation',
      '--image-root',
      'i',
      '--image-cache',
      '1GiB',
      '--allow-remote-images',
      '--optimizer',
      'prodigy',
      '--instance-prompt',
      'a photo of sks dog',
      '--resolution',
      '768',
      '--crop',
      'random',
      '--flip',
      '--buckets',
      '--class-data',
      'dogs',
      '--class-prompt',
      'a photo of a dog',
      '--prior-weight',
      '0.5',
      '--noise-scheme',
      'logit-normal',
      '--logit-mean',
      '-1',
      '--logit-std',
      '2',
      '--mode-scale',
      '0.8',
      '--noise-shift',
      '4',
      '--loss-weighting',
      'sigma-sqrt',
      '--train-guidance',
      '3.5',
      '--sample-prompt',
      'sks dog on a beach',
      '--sample-prompt',
      'sks dog in a bath',
      '--sample-every',
      '100',
      '--sample-inference-steps',
      '20',
    );
    expect(
      resolveTuneOptions({ ...optionValues('tune', command.opts()), out: 'o' } as Parameters<
        typeof resolveTuneOptions
      >[0]),
    ).toEqual({
      model: 'm',
      data: 'd',
      moreData: ['e', 'f:2.jsonl'],
      dataWeights: '1,0.5,2',
      validation: 'v',
      initAdapter: 'earlier',
      out: 'o',
      vramBytes: 2 ** 31,
      hostBytes: 2 ** 30,
      method: 'emulator',
      ratios: ['a=0.4', '0.5'],
      levels: null,
      rank: 4,
      alpha: 8,
      useRslora: true,
      targets: '.*q_proj',
      learningRate: 1e-3,
      schedule: 'linear',
      warmupRatio: 0.1,
      weightDecay: 0.01,
      maxGradientNorm: 2,
      steps: 7,
      epochs: null,
      batch: 3,
      batchTokens: null,
      gradientAccumulation: 2,
      maxLength: 99,
      calibrationRows: 5,
      emulatorMetric: 'loss',
      factors: 'fast',
      storage: 'nf4',
      correction: 2.5,
      refineSteps: 0,
      refineLearningRate: 1e-5,
      evalSteps: 50,
      patience: 3,
      loraPlusRatio: 1,
      loraDropout: 0.05,
      useDora: false,
      anchorSteps: 10,
      anchorRows: 64,
      seed: 11,
      prefetch: false,
      date: '2024-02-29',
      chatTemplate: '{{ messages }}\r\n',
      templateArgs: '{"a": 1}',
      columns: 'prompt=question',
      strict: true,
      baseName: 'org/name',
      allowUnusedLayers: true,
      maxTiles: 12,
      exifOrientation: true,
      imageRoot: 'i',
      imageCacheBytes: 2 ** 30,
      remoteImages: true,
      optimizer: 'prodigy',
      instancePrompt: 'a photo of sks dog',
      resolution: 768,
      crop: 'random',
      flip: true,
      buckets: true,
      classData: 'dogs',
      classPrompt: 'a photo of a dog',
      priorWeight: 0.5,
      noiseScheme: 'logit-normal',
      logitMean: -1,
      logitStd: 2,
      modeScale: 0.8,
      noiseShift: 4,
      lossWeighting: 'sigma-sqrt',
      trainGuidance: 3.5,
      samplePrompts: ['sks dog on a beach', 'sks dog in a bath'],
      sampleEvery: 100,
      sampleInferenceSteps: 20,
    });
  });

  it('leaves every default to the pipeline', () => {
    const given = optionValues('tune', parse('--model', 'm', '--data', 'd').opts());
    expect(
      resolveTuneOptions({ ...given, out: 'o' } as Parameters<typeof resolveTuneOptions>[0]),
    ).toEqual({ ...defaultTuneOptions, model: 'm', data: 'd', out: 'o' });
  });

  it('takes files one by one, and more where there are more', () => {
    const { data, moreData } = optionValues('tune', parse('--data', 'a:b').opts());
    expect({ data, moreData }).toEqual({ data: 'a:b', moreData: undefined });
    expect(optionValues('eval', { data: 'a' })).toEqual({ data: 'a' });
  });

  it('takes tokens of a batch in place of its rows', () => {
    expect(optionValues('tune', parse('--batch-tokens', '4096').opts()).batchTokens).toBe(4096);
    expect(() => parse('--batch-tokens', '4096', '--batch', '2')).toThrow(/cannot be used with/);
  });

  it('takes DoRA, which emulators have not', () => {
    expect(optionValues('tune', parse('--dora').opts()).useDora).toBe(true);
  });

  it('takes a ratio of learning rates, which Prodigy has not', () => {
    const { loraPlusRatio } = optionValues('tune', parse('--lora-plus-ratio', '16').opts());
    expect(loraPlusRatio).toBe(16);
  });

  it.each([
    ['auto', 'auto'],
    ['none', 'none'],
    ['3', 3],
  ])('takes the correction %s', (text, value) => {
    expect(optionValues('tune', parse('--correction', text).opts()).correction).toBe(value);
  });

  it.each([
    ['--rank', 'eight'],
    ['--vram', 'much'],
    ['--schedule', 'sawtooth'],
    ['--crop', 'center'],
    ['--noise-scheme', 'logit_normal'],
    ['--correction', 'maybe'],
    ['--lr', ''],
  ])('refuses %s %s', (flag, value) => {
    expect(() => parse(flag, value)).toThrow();
  });

  it('refuses a template that is no text or not there', () => {
    const binary = join(folder, 'binary');
    writeFileSync(binary, Buffer.from([0xff, 0xfe, 0x41]));
    expect(() => parse('--chat-template', binary)).toThrow(/binary is no text in UTF-8/);
    expect(() => parse('--chat-template', join(folder, 'none'))).toThrow(/none cannot be read/);
  });

  it.each([
    ['plan', 'tune'],
    [
      'eval',
      'image-root',
      'allow-remote-images',
      'adapter',
      'answers',
      'data',
      'limit',
      'max-new-tokens',
      'metric',
      'draws',
      'seed',
    ],
    [
      'generate',
      'model',
      'adapter',
      'date',
      'chat-template',
      'template-args',
      'allow-unused-layers',
      'seed',
      'prompt',
      'image',
      'max-tiles',
      'exif-orientation',
      'image-root',
      'allow-remote-images',
      'system',
      'max-new-tokens',
      'context',
      'temperature',
      'top-p',
      'vram',
      'host-memory',
      'no-prefetch',
      'size',
      'steps',
      'guidance',
      'negative-prompt',
      'cfg-scale',
      'out',
    ],
    ['merge', 'adapter', 'dtype', 'model', 'out', 'allow-unused-layers'],
    [
      'data',
      'model',
      'data',
      'data-weights',
      'max-tiles',
      'exif-orientation',
      'image-root',
      'allow-remote-images',
      'max-length',
      'date',
      'chat-template',
      'template-args',
      'columns',
      'strict',
      'limit',
      'instance-prompt',
      'resolution',
      'crop',
      'flip',
      'buckets',
      'seed',
    ],
  ] as const)('gives %s the flags %s …', (command, ...names) => {
    const flags = optionFlags(command).map(({ long }) => long);
    const wanted =
      names[0] === 'tune'
        ? optionFlags('tune').map(({ long }) => long)
        : names.map((name) => `--${name}`);
    expect(flags).toEqual(expect.arrayContaining(wanted));
    if (['data', 'merge', 'generate'].includes(command)) expect(flags).toHaveLength(wanted.length);
  });

  it('has levels as they are written', () => {
    const given = optionValues('tune', parse('--levels', '0.25:200,1:30x64').opts());
    expect(given.levels).toBe('0.25:200,1:30x64');
  });

  it('refuses steps and epochs together', () => {
    expect(() => parse('--steps', '3', '--epochs', '2')).toThrow(/cannot be used with/);
  });
});

describe('a config file', () => {
  it('has the home folder as ~ where a folder or a file is expected', () => {
    expect(withConfig('model: ~/base\ntargets: ~/x\n')).toMatchObject({
      model: join(homedir(), 'base'),
      targets: '~/x',
    });
    expect(withConfig('data: "~"\nvalidation: ~/v\nimage-root: ~/i\nout: a/~/b\n')).toMatchObject({
      data: [homedir()],
      validation: join(homedir(), 'v'),
      imageRoot: join(homedir(), 'i'),
      out: 'a/~/b',
    });
  });

  it('refuses the home folders of others, and those of servers', () => {
    for (const path of ['~other/c', 'server:~/c'])
      expect(() => withConfig(`validation: "${path}"\n`)).toThrow(/validation: the home folder of/);
  });

  it('sets what the command line does not', () => {
    const values = withConfig(
      'lr: 1e-3\nvram: 2GiB\nratio: [a=0.4, 0.5]\nrslora: true\nprefetch: false\nmax-length: 77\n',
      '--lr',
      '5e-4',
    );
    expect(values).toMatchObject({
      lr: 5e-4,
      vram: 2 ** 31,
      ratio: ['a=0.4', '0.5'],
      rslora: true,
      prefetch: false,
      maxLength: 77,
    });
  });

  it('names the file of a template', () => {
    expect(withConfig(`chat-template: ${template}\n`)).toMatchObject({
      chatTemplate: '{{ messages }}\r\n',
    });
    expect(() => withConfig('chat-template: none.jinja\n')).toThrow(
      /chat-template: none\.jinja cannot be read/,
    );
  });

  it('gives way to a repeatable flag as a whole', () => {
    expect(withConfig('ratio: [a=0.4, 0.5]\n', '--ratio', '0.25')['ratio']).toEqual(['0.25']);
  });

  it('may be empty', () => {
    expect(withConfig('# nothing\n')).not.toHaveProperty('lr');
  });

  it.each([
    ['an unknown key', 'learning-rate: 1\n', 'unknown key "learning-rate"'],
    ['a key in camel case', 'maxLength: 8\n', 'unknown key "maxLength"'],
    ['itself', 'config: other.yaml\n', 'unknown key "config"'],
    ['a text for a number', 'rank: eight\n', 'rank "eight": A number is expected'],
    ['a mapping for a number', 'rank: {a: 1}\n', 'rank must be a text or a number'],
    ['null', 'rank:\n', 'rank must be a text or a number'],
    ['a text for a switch', 'rslora: "yes"\n', 'rslora must be true or false'],
    ['a list for one value', 'rank: [1, 2]\n', 'rank takes one value'],
    ['a choice that is none', 'schedule: sawtooth\n', 'schedule'],
    ['a list', '- rank\n', 'a mapping'],
    ['a key twice', 'rank: 1\nrank: 2\n', 'unique'],
    ['no YAML', 'rank: [1\n', 'config file'],
  ])('is refused with file and key: %s', (_name, text, part) => {
    const run = (): unknown => withConfig(text);
    expect(run).toThrow(UsageError);
    expect(run).toThrow(part);
    expect(run).toThrow(join(folder, 'config.yaml'));
  });

  it.each([
    ['rank: 9223372036854775808\n', 'rank "9223372036854775808": '],
    ['lr: 9007199254740993\n', 'lr "9007199254740993": above 0 and at most 1000000 expected'],
    ['alpha: 1e999\n', 'alpha "1e999": '],
    ['alpha: .nan\n', 'alpha ".nan": A number is expected.'],
  ])('tells the number of %j as it was given', (text, message) => {
    expect(() => withConfig(text)).toThrow(message);
  });

  it('is refused where it cannot be read', () => {
    const command = parse('--config', join(folder, 'absent.yaml'));
    expect(() => applyConfigFile(command, { rivalOf })).toThrow(/absent\.yaml cannot be read/);
  });

  it('gives way to a flag that excludes one of its keys', () => {
    const values = withConfig('steps: 5\n', '--epochs', '2');
    expect(values).toMatchObject({ epochs: 2 });
    expect(values).not.toHaveProperty('steps');
  });

  it('is refused with two keys that exclude each other', () => {
    expect(() => withConfig('epochs: 2\nsteps: 5\n')).toThrow(/steps cannot be used with epochs/);
  });
});
