import { validationTable } from './validation-table.js';

const sound = { curve: null, chosenStep: 2, divergence: null, stoppedEarly: false };
const losses = {
  ...{ base: 4, emulator: 5, emulatorTuned: 1, uncorrected: 2, corrected: 1.5, refined: 1.25 },
};
const correction = { chosen: '3', scores: { none: 2, '1': 1.75, '3': 1.5 } };
const courses = { train: sound, refine: sound };

/** Names of the rows, and the one of the adapter that is written. */
function rowsOf(table: string): readonly [readonly string[], string | undefined] {
  const lines = table.split('\n').map((line) => line.trim());
  const name = (line: string): string => line.split(/ {2,}/)[0] ?? '';
  const marked = lines.filter((line) => line.includes('<- your adapter'));
  expect(marked).toHaveLength(1);
  for (const line of lines) expect(line).toMatch(/\d\.\d{4} .*[a-z]{3,}/);
  return [lines.map(name), marked.map(name)[0]];
}

it('says of every loss what it is, and which is that of the adapter', () => {
  const table = validationTable({ validation: losses, correction, courses });
  expect(rowsOf(table)).toEqual([
    [
      ...['base model', 'emulator', 'emulator, trained', 'model, uncorrected'],
      ...['model, corrected', 'model, refined'],
    ],
    'model, refined',
  ]);
  expect(table).toContain('(strength 3)');
});

it.each([
  ['a refinement that made it worse', { ...losses, refined: 1.6 }, correction, 'model, corrected'],
  ['no refinement', { ...losses, refined: null }, correction, 'model, corrected'],
  [
    'a correction that did not help',
    { ...losses, refined: null },
    { ...correction, chosen: 'none' },
    'model, uncorrected',
  ],
  [
    'no emulator',
    {
      ...{ base: 4, emulator: null, emulatorTuned: null },
      ...{ uncorrected: 1, corrected: null, refined: null },
    },
    null,
    'model, trained',
  ],
] as const)('marks the adapter of a job with %s', (_, validation, chosen, marked) => {
  const refine = validation.refined === null ? null : sound;
  const table = validationTable({
    ...{ validation, correction: chosen, courses: { train: sound, refine } },
  });
  expect(rowsOf(table)[1]).toBe(marked);
});
