import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import {
  fromTuneOptionsMessage,
  NoiseScheme,
  toTuneOptionsMessage,
  TuneOptionsSchema,
  type PlainTuneOptions,
} from './index.js';

const overTheWire = (options: PlainTuneOptions): PlainTuneOptions =>
  fromTuneOptionsMessage(
    fromBinary(TuneOptionsSchema, toBinary(TuneOptionsSchema, toTuneOptionsMessage(options))),
  );

const every: Required<PlainTuneOptions> = {
  model: '/models/a',
  data: { dataset: 'datasets/1' },
  moreData: ['/data/b.jsonl', { dataset: 'datasets/2' }],
  dataWeights: '1,0.5,2',
  validation: '/data/v.jsonl',
  initAdapter: '/models/earlier',
  vramBytes: 17_179_869_184,
  hostBytes: 2 ** 40,
  ratios: ['.*q_proj=0.25', '0.5'],
  method: 'emulator',
  levels: '0.25:200,1:30x64',
  rank: 8,
  alpha: 16.5,
  useRslora: true,
  useDora: true,
  targets: '.*v_proj',
  learningRate: 2e-4,
  schedule: 'linear',
  warmupRatio: 0,
  weightDecay: 0,
  maxGradientNorm: Number.POSITIVE_INFINITY,
  steps: 100,
  epochs: 1.5,
  batch: 4,
  batchTokens: 4096,
  gradientAccumulation: 2,
  maxLength: 512,
  calibrationRows: 32,
  emulatorMetric: 'loss',
  factors: 'fast',
  storage: 'nf4',
  correction: 3,
  refineSteps: 0,
  refineLearningRate: 1e-4,
  evalSteps: 50,
  patience: 3,
  loraPlusRatio: 16,
  loraDropout: 0.1,
  anchorSteps: 10,
  anchorRows: 64,
  prefetch: false,
  seed: 0,
  date: '2026-01-31',
  chatTemplate: '{{ messages }}\n',
  templateArgs: '{"a": 9007199254740993}',
  columns: 'prompt=question',
  strict: true,
  baseName: 'org/name',
  allowUnusedLayers: false,
  maxTiles: 4,
  exifOrientation: true,
  optimizer: 'prodigy',
  instancePrompt: 'a photo of sks dog',
  resolution: 768,
  crop: 'random',
  flip: false,
  buckets: true,
  classData: '/data/dogs',
  classPrompt: 'a photo of a dog',
  priorWeight: 0,
  noiseScheme: 'logit-normal',
  logitMean: -0.5,
  logitStd: 2,
  modeScale: 1.29,
  noiseShift: 1,
  lossWeighting: 'sigma-sqrt',
  trainGuidance: 3.5,
};

describe('tune options as a message', () => {
  it('has a field for every option, and gives every value back', () => {
    expect(Object.keys(every)).toHaveLength(TuneOptionsSchema.fields.length);
    expect(overTheWire(every)).toEqual(every);
  });

  it('leaves what is not set to the server', () => {
    expect(overTheWire({ model: 'm', data: 'd' })).toEqual({ model: 'm', data: 'd' });
  });

  it('takes null and no limit for not set', () => {
    const options = {
      model: 'm',
      data: 'd',
      validation: null,
      vramBytes: null,
      hostBytes: Number.POSITIVE_INFINITY,
      targets: null,
      steps: null,
      refineSteps: null,
    };
    expect(overTheWire(options)).toEqual({ model: 'm', data: 'd' });
  });

  it.each(['auto', 'none', 0.5] as const)('keeps the correction %p', (correction) => {
    expect(overTheWire({ model: 'm', data: 'd', correction }).correction).toBe(correction);
  });

  it.each(['none', 'logit-normal', 'mode', 'sigmoid', 'shift', 'flux-shift'] as const)(
    'keeps the noise scheme %s',
    (noiseScheme) => {
      expect(toTuneOptionsMessage({ model: 'm', data: 'd', noiseScheme }).noiseScheme).toBe(
        NoiseScheme[noiseScheme.toUpperCase().replace('-', '_') as keyof typeof NoiseScheme],
      );
      expect(overTheWire({ model: 'm', data: 'd', noiseScheme }).noiseScheme).toBe(noiseScheme);
    },
  );

  it('refuses a size or seed that is no whole number', () => {
    expect(() => toTuneOptionsMessage({ model: 'm', data: 'd', seed: 1.5 })).toThrow(RangeError);
    expect(() => toTuneOptionsMessage({ model: 'm', data: 'd', vramBytes: Number.NaN })).toThrow(
      RangeError,
    );
  });

  it('does not make valid options of values that it does not know', () => {
    const message = create(TuneOptionsSchema, {
      schedule: 9 as never,
      crop: 3 as never,
      seed: 2n ** 60n + 1n,
      correction: { choice: { case: 'policy', value: 9 as never } },
    });
    expect(fromTuneOptionsMessage(message)).toEqual({
      model: '',
      data: '',
      schedule: 9,
      crop: 3,
      seed: Number.NaN,
      correction: Number.NaN,
    });
  });
});
