import { EmulatorError } from './errors.js';
import { emulatorRank, parseRatioRules, ratioOf } from './ratio-rules.js';

const linear = (
  path: string,
  emulated: Parameters<typeof ratioOf>[1]['emulated'] = 'byDefault',
): Parameters<typeof ratioOf>[1] => ({ path, emulated });

describe('ratio rules', () => {
  test('the first rule that matches the whole path decides', () => {
    const rules = parseRatioRules([
      '.*mlp\\.down_proj=0.25',
      'model\\.layers\\.[0-3]\\..*=1',
      '0.5',
    ]);
    expect(ratioOf(rules, linear('model.layers.2.mlp.down_proj'))).toBe(0.25);
    expect(ratioOf(rules, linear('model.layers.2.mlp.up_proj'))).toBe(1);
    expect(ratioOf(rules, linear('model.layers.4.mlp.up_proj'))).toBe(0.5);
  });

  test('a pattern that matches a part of the path does not count, alternatives included', () => {
    const rules = parseRatioRules(['q_proj|x.*=0.3']);
    expect(ratioOf(rules, linear('self_attn.q_proj'))).toBe(1);
    expect(ratioOf(rules, linear('q_projector'))).toBe(1);
    expect(ratioOf(rules, linear('q_proj'))).toBe(0.3);
  });

  test('no rule keeps a layer whole', () => {
    expect(ratioOf(parseRatioRules([]), linear('any'))).toBe(1);
  });

  test('a bare ratio is for what a model has emulated by default, a pattern for what it names', () => {
    const rules = parseRatioRules(['vision\\..*=0.4', '0.5']);
    expect(ratioOf(rules, linear('vision.fc1', 'whenNamed'))).toBe(0.4);
    expect(ratioOf(rules, linear('layers.9.down', 'whenNamed'))).toBe(1);
    expect(ratioOf(rules, linear('layers.9.up'))).toBe(0.5);
  });

  test('what is never emulated stays whole whoever names it', () => {
    expect(ratioOf(parseRatioRules(['.*=0.4']), linear('projector.1', 'never'))).toBe(1);
  });

  test('the last "=" divides, so a pattern may contain one', () => {
    expect(ratioOf(parseRatioRules(['(?=.*mlp).*=0.4']), linear('a.mlp.b'))).toBe(0.4);
  });

  test.each([
    ['0'],
    ['1.01'],
    ['-0.5'],
    ['x'],
    [''],
    ['.*=0x1'],
    ['.*=Infinity'],
    ['.*='],
    ['=0.5'],
    ['(=0.5'],
    ['a)|(b=0.5'],
    ['.*'],
  ])('refuses %j by name', (spec) => {
    const parse = (): unknown => parseRatioRules(['0.5', spec]);
    expect(parse).toThrow(EmulatorError);
    expect(parse).toThrow(
      expect.objectContaining({
        code: 'EMULATOR_INVALID_RATIO',
        message: expect.stringContaining(JSON.stringify(spec)),
      }),
    );
  });

  test('rank gives the factors the ratio of the parameters, rounded down, and at least 1', () => {
    expect(emulatorRank(0.5, 18944, 3584)).toBe(1506);
    expect(emulatorRank(0.5, 3584, 18944)).toBe(1506);
    expect(emulatorRank(0.01, 8, 8)).toBe(1);
  });
});
