import type { DescField } from '@bufbuild/protobuf';
import { fromTuneOptionsMessage, toTuneOptionsMessage, TuneOptionsSchema } from '@emloc/contracts';
import { defaultTuneOptions, optionsFor, type NamedOption } from '@emloc/pipeline';

const options = optionsFor('jobs');

const fields: ReadonlyMap<string, DescField> = new Map(
  TuneOptionsSchema.fields.map((field) => [field.name, field]),
);

/** A field's type as in the proto file. */
function typeOf(field: DescField | undefined): string {
  switch (field?.fieldKind) {
    case 'scalar':
      return scalarNames[field.scalar] ?? '';
    case 'list':
      return `repeated ${field.listKind === 'message' ? field.message.name : 'string'}`;
    case 'enum':
      return field.enum.name;
    case 'message':
      return field.message.name;
    default:
      return '';
  }
}

const scalarNames: Readonly<Record<number, string>> = {
  1: 'double',
  3: 'int64',
  5: 'int32',
  8: 'bool',
  9: 'string',
};

const fitting: Readonly<Record<NamedOption['kind'], readonly string[]>> = {
  text: ['string', 'DataSource'],
  textFile: ['string'],
  texts: ['repeated string', 'repeated DataSource'],
  integer: ['int32', 'int64'],
  number: ['double'],
  size: ['int64'],
  switch: ['bool'],
  choice: [
    ...['Schedule', 'Optimizer', 'Crop', 'NoiseScheme', 'LossWeighting', 'EmulatorMetric'],
    ...['Factors', 'Method', 'Storage'],
  ],
  choiceOrNumber: ['CorrectionChoice'],
};

describe('the message TuneOptions beside the table of options', () => {
  it('has a field for every option that a deployment takes, and no other', () => {
    expect(options.length).toBeGreaterThan(20);
    expect(options.map(({ field }) => field).sort()).toEqual([...fields.keys()].sort());
  });

  it('has no field for options that only this machine takes', () => {
    const local = (['tune', 'eval', 'generate', 'merge', 'data'] as const)
      .flatMap((command) => optionsFor(command))
      .filter(({ commands }) => !commands.includes('jobs'));
    expect(local.length).toBeGreaterThan(0);
    expect(local.filter(({ field }) => field !== undefined)).toEqual([]);
  });

  it.each(options.map((option) => [option.name, option] as const))(
    'has a fitting type for %s',
    (_name, { kind, field = '' }) => {
      expect(fitting[kind]).toContain(typeOf(fields.get(field)));
    },
  );

  it('can say of every option with a default that it is not set', () => {
    const implicit = options.filter(
      (option) =>
        option.default !== undefined &&
        fields.get(option.field ?? '')?.presence !== 1 &&
        option.kind !== 'texts',
    );
    expect(implicit.map(({ name }) => name)).toEqual([]);
  });

  it('has the values of every choice', () => {
    const choices = options.filter(({ kind }) => kind === 'choice');
    expect(choices.length).toBeGreaterThan(0);
    for (const { name, field = '', choices: values = [] } of choices) {
      const found = fields.get(field)?.enum?.values.slice(1) ?? [];
      const names = found.map(({ localName }) => localName.toLowerCase().replaceAll('_', '-'));
      expect([name, names]).toEqual([name, values]);
    }
  });

  it('gives every default back under the name of its option', () => {
    const given = { ...defaultTuneOptions, model: '/m', data: '/d' };
    const served = new Set(options.map(({ name }) => name));
    const told = Object.entries(given).filter(
      ([name, value]) =>
        served.has(name) &&
        value !== null &&
        value !== Number.POSITIVE_INFINITY &&
        !Array.isArray(value),
    );
    expect(fromTuneOptionsMessage(toTuneOptionsMessage(given))).toEqual(Object.fromEntries(told));
  });
});
