import { planStatistics } from './statistics-plan.js';

const linear = (name: string, group: string, inFeatures: number, outFeatures: number) => ({
  name,
  group,
  inFeatures,
  outFeatures,
  ratio: 0.5,
});

describe('plan of the statistics', () => {
  test('grouped-query attention: outputs of q, k and v each have their own; gate and up share their input; down never has its wide input', () => {
    const plans = planStatistics([
      linear('q', 'attn', 3584, 3584),
      linear('k', 'attn', 3584, 512),
      linear('v', 'attn', 3584, 512),
      linear('o', 'o', 3584, 3584),
      linear('gate', 'mlp', 3584, 18944),
      linear('up', 'mlp', 3584, 18944),
      linear('down', 'down', 18944, 3584),
    ]);
    expect(plans).toEqual([
      { kind: 'output', group: 'attn', linears: ['q'], features: 3584, inFeatures: 3584 },
      { kind: 'output', group: 'attn', linears: ['k'], features: 512, inFeatures: 3584 },
      { kind: 'output', group: 'attn', linears: ['v'], features: 512, inFeatures: 3584 },
      { kind: 'output', group: 'o', linears: ['o'], features: 3584, inFeatures: 3584 },
      { kind: 'input', group: 'mlp', linears: ['gate', 'up'], features: 3584, inFeatures: 3584 },
      { kind: 'output', group: 'down', linears: ['down'], features: 3584, inFeatures: 18944 },
    ]);
  });

  test('three outputs as wide as the input share its statistic', () => {
    const plans = planStatistics(['q', 'k', 'v'].map((name) => linear(name, 'attn', 64, 64)));
    expect(plans).toEqual([
      { kind: 'input', group: 'attn', linears: ['q', 'k', 'v'], features: 64, inFeatures: 64 },
    ]);
  });

  test('a narrow layer uses the input statistic that a wide one of its group needs', () => {
    const plans = planStatistics([linear('narrow', 'g', 8, 4), linear('wide', 'g', 8, 16)]);
    expect(plans).toEqual([
      { kind: 'input', group: 'g', linears: ['narrow', 'wide'], features: 8, inFeatures: 8 },
    ]);
  });

  test('nothing to emulate needs nothing', () => {
    expect(planStatistics([])).toEqual([]);
  });

  test('refuses a group whose members read inputs of different widths', () => {
    expect(() => planStatistics([linear('a', 'g', 8, 4), linear('b', 'g', 9, 4)])).toThrow(
      expect.objectContaining({ code: 'EMULATOR_SHAPE_MISMATCH' }),
    );
  });
});
