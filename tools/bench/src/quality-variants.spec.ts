import { mathVariants, parseRow } from './quality-variants.js';

describe('rows of bench quality', () => {
  const length = { steps: 300, batch: 16, rows: 7000 };

  it('come as JSON, with the options of the configuration file', () => {
    const row = parseRow(
      '{"name": "mine", "options": {"levels": "0.25:30,1:3x64", "refineLearningRate": 0.004}, "target": 0.9}',
    );
    expect(row).toMatchObject({
      ...{ name: 'mine', target: 0.9 },
      options: { refineLearningRate: 0.004 },
    });
    expect(row.levels?.(length)).toBe('0.25:30,1:3x64');
    expect(parseRow('{"name": "short", "options": {"steps": 3}}').levels).toBeUndefined();
  });

  it.each(['[]', '{"name": 3, "options": {}}', '{"name": "x"}', '{"name": "x", "options": []}'])(
    'are refused as %s',
    (text) => {
      expect(() => parseRow(text)).toThrow('"name"');
    },
  );

  it('spend a pass over the original for every tenth step of one emulator', () => {
    const levels = mathVariants.map((row) => row.levels?.(length) ?? null);
    expect(levels).toContain('0.25:300,1:30x64');
    expect(levels).toContain('0.1:300');
    expect(levels.slice(-4)).toEqual([
      '0.25:400,0.5:200,1:60',
      '0.25:400,0.5:200,1:30x64',
      '0.25:400,0.4:200,1:30x64',
      '0.125:600,0.25:400,1:30x64',
    ]);
  });
});
