import { PipelineError } from '../errors.js';
import {
  decidingOptions,
  defaultTuneOptions,
  resolveEvaluateOptions,
  resolveTuneOptions,
} from './resolve.js';
import { optionsFor, optionTable } from './table.js';

const paths = { model: 'm', data: 'd', out: 'o' };

describe('resolveTuneOptions', () => {
  it('fills in defaults for what is absent, undefined or null', () => {
    const options = resolveTuneOptions({ ...paths, rank: undefined, alpha: null, steps: null });
    expect(options).toEqual({ ...defaultTuneOptions, ...paths });
    expect(options).toMatchObject({ rank: null, alpha: null, steps: null, ratios: [] });
  });

  it('gives what nobody can change, and keeps no list of the caller', () => {
    const ratios = ['0.25'];
    const options = resolveTuneOptions({ ...paths, ratios });
    ratios.push('1');
    expect(options.ratios).toEqual(['0.25']);
    expect(Object.isFrozen(options) && Object.isFrozen(options.ratios)).toBe(true);
  });

  it('has no more than the options that the command takes', () => {
    const options = resolveTuneOptions({ ...paths, answers: 3 } as typeof paths);
    expect(Object.keys(options)).toEqual(optionsFor('tune').map(({ name }) => name));
    expect(options).not.toHaveProperty('answers');
  });

  it.each([
    ['rank', 0, 'option rank: 0 given, a whole number of at least 1 expected'],
    ['rank', 1.5, 'option rank: 1.5 given, a whole number of at least 1 expected'],
    ['maxLength', 1, 'option maxLength: 1 given, a whole number of at least 2 expected'],
    ['learningRate', 0, 'option learningRate: 0 given, above 0 and at most 1000000 expected'],
    ['learningRate', Number.NaN, 'option learningRate: NaN given, above 0 and at most'],
    ['learningRate', 1_000_001, 'option learningRate: 1000001 given, above 0 and at most 1000000'],
    ['refineLearningRate', Infinity, 'option refineLearningRate: Infinity given, above 0 and at'],
    ['alpha', Infinity, 'option alpha: Infinity given, positive and finite expected'],
    ['epochs', Infinity, 'option epochs: Infinity given, positive and finite expected'],
    ['steps', 10_000_001, '10000001 given, a whole number of at least 1 and at most 10000000'],
    ['refineSteps', 1e8, '100000000 given, a whole number of at least 0 and at most 10000000'],
    ['vramBytes', -1, 'option vramBytes: -1 given, positive expected'],
    ['warmupRatio', 1, 'option warmupRatio: 1 given, at least 0 and below 1 expected'],
    ['weightDecay', Infinity, 'option weightDecay: Infinity given, at least 0 expected'],
    ['schedule', 'saw', 'option schedule: "saw" given, cosine, linear, constant expected'],
    ['correction', 'maybe', 'option correction: "maybe" given, auto, none or a positive number'],
    ['correction', 0, 'option correction: 0 given, auto, none or a positive number expected'],
    ['useRslora', 'yes', 'option useRslora: "yes" given, true or false expected'],
    [
      'targets',
      '(',
      'option targets: "(" cannot be used as a pattern: it is no regular expression',
    ],
    ['targets', 7, 'option targets: 7 given, a text expected'],
    ['ratios', '0.5', 'option ratios: "0.5" given, a list of texts expected'],
    ['date', '2023-02-29', 'option date: "2023-02-29" given, a day as YYYY-MM-DD'],
    ['date', '0000-01-01', 'option date: "0000-01-01" given'],
    ['date', '2024-1-01', 'option date: "2024-1-01" given'],
    ['date', '2024-13-01', 'option date: "2024-13-01" given'],
    ['date', '12024-01-01', 'option date: "12024-01-01" given'],
    ['templateArgs', '[]', 'option templateArgs: "[]" given, a JSON object expected'],
    ['templateArgs', 'null', 'option templateArgs: "null" given, a JSON object expected'],
    ['templateArgs', '{a: 1}', 'option templateArgs: "{a: 1}" given, a JSON object expected'],
    ['templateArgs', '{"messages": []}', 'option templateArgs: "messages" cannot be given'],
    ['templateArgs', '{"x": 1, "add_generation_prompt": true}', '"add_generation_prompt" cannot'],
    ['baseName', './m', 'option baseName: "./m" given, a name as on a hub, OWNER/NAME or NAME'],
    ['strict', 1, 'option strict: 1 given, true or false expected'],
    ['chatTemplate', '€'.repeat(349_526), 'a text of 1048578 bytes given, at most 1048576 are'],
  ])('refuses %s %p', (name, value, message) => {
    const resolve = (): unknown => resolveTuneOptions({ ...paths, [name]: value });
    expect(resolve).toThrow(PipelineError);
    expect(resolve).toThrow(message);
  });

  it.each([
    ['date', '0001-01-01'],
    ['date', '9999-12-31'],
    ['date', '2024-02-29'],
    ['templateArgs', '{}'],
    ['templateArgs', '{"big": 12345678901234567890, "bos_token": "<s>"}'],
    ['chatTemplate', '€'.repeat(349_525)],
    ['baseName', 'org/name'],
  ])('keeps %s as it is given', (name, value) => {
    expect(resolveTuneOptions({ ...paths, [name]: value })).toHaveProperty(name, value);
  });

  it('does not repeat a long text that is wrong', () => {
    const resolve = (): unknown => resolveTuneOptions({ ...paths, date: '9'.repeat(10_000) });
    expect(resolve).toThrow(/^option date: "9{199}… given/);
  });

  it('refuses a ratio by its rule', () => {
    expect(() => resolveTuneOptions({ ...paths, ratios: ['2'] })).toThrow(
      expect.objectContaining({ code: 'EMULATOR_INVALID_RATIO' }),
    );
  });

  it('refuses a job without what has to be given', () => {
    expect(() => resolveTuneOptions({ model: 'm', out: 'o' } as typeof paths)).toThrow(
      'option data: nothing given, a text expected',
    );
  });
});

describe('files of rows', () => {
  const resolve = (options: object) => () => resolveTuneOptions({ ...paths, ...options });

  it.each(['1,2', '.5, 1000', '0.25,1.'])('may have the weights %s', (dataWeights) => {
    expect(resolve({ moreData: ['b'], dataWeights })).not.toThrow();
  });

  it.each(['1,0', '1,-1', '1,1001', '1,x', '1,,1', '', '1e1,1', 'Infinity,1'])(
    'may not have the weights %j',
    (dataWeights) => {
      expect(resolve({ moreData: ['b'], dataWeights })).toThrow(
        /^option dataWeights: .* given, numbers above 0 and at most 1000/,
      );
    },
  );

  it('have a weight each, or none', () => {
    expect(resolve({ moreData: ['b', 'c'], dataWeights: '1,2' })).toThrow(
      'option dataWeights: "1,2" given, 3 weights, one for each file of option data, expected',
    );
    expect(resolve({ dataWeights: '1,2' })).toThrow(
      '1 weight, as there is one file of option data',
    );
  });

  it('are named and not too many', () => {
    expect(resolve({ moreData: [''] })).toThrow('option data: "" given, a path expected');
    expect(resolve({ moreData: new Array(100).fill('a') })).toThrow('option data: 101 files given');
  });
});

describe('resolveEvaluateOptions', () => {
  it.each([
    ['limit', 0, 'a whole number of at least 1'],
    ['answers', -1, 'a whole number of at least 0'],
    ['batch', 0.5, 'a whole number of at least 1'],
  ])('refuses %s %p', (name, value, expected) => {
    expect(() => resolveEvaluateOptions({ model: 'm', data: 'd', [name]: value })).toThrow(
      `option ${name}: ${value} given, ${expected} expected`,
    );
  });
});

describe('decidingOptions', () => {
  it('leaves out where things are and how much memory there is', () => {
    const names = Object.keys(decidingOptions(resolveTuneOptions(paths)));
    expect(names).toEqual(expect.arrayContaining(['rank', 'seed', 'ratios']));
    for (const name of ['model', 'data', 'validation', 'out', 'vramBytes', 'hostBytes', 'prefetch'])
      expect(names).not.toContain(name);
  });
});

describe('the table of options', () => {
  it('has defaults that pass its own checks', () => {
    const options = Object.entries(optionTable);
    expect(options.length).toBeGreaterThan(20);
    for (const [name, option] of options)
      if ('default' in option && option.default !== null)
        expect(() => option.assert(name, option.default)).not.toThrow();
  });

  it.each(['tune', 'plan', 'jobs', 'eval', 'generate', 'chat', 'merge', 'data'] as const)(
    'has no flag twice for %s',
    (command) => {
      const flags = optionsFor(command)
        .filter(({ further }) => further !== true)
        .map(({ flag }) => flag.split(' ')[0]);
      expect(flags.length).toBeGreaterThan(0);
      expect(new Set(flags).size).toBe(flags.length);
    },
  );
});
