import { selectContents } from '../contents.mjs';

const available = {
  programs: ['bench', 'check', 'emloc', 'goldens', 'gpu-bundle', 'trainer'],
  scripts: ['bench_torch.py', 'check_peft.py'],
};

describe('selectContents', () => {
  it('has only what is named', () => {
    expect(selectContents(['goldens'], available)).toEqual({
      programs: ['goldens'],
      scripts: [],
      packages: [],
    });
    expect(selectContents(['check_peft.py', 'bench'], available)).toEqual({
      programs: ['bench'],
      scripts: ['check_peft.py'],
      packages: [],
    });
  });

  it('has the decoder of images where it is named, beside the usual programs', () => {
    const { programs, packages } = selectContents(['sharp'], available);

    expect(packages).toEqual(['sharp']);
    expect(programs).toEqual(selectContents([], available).programs);
  });

  it('has the checks and the command where no program is named', () => {
    const programs = ['emloc', 'goldens', 'gpu-bundle'];

    expect(selectContents([], available)).toEqual({ programs, scripts: [], packages: [] });
    expect(selectContents(['check_peft.py'], available).programs).toEqual(programs);
  });

  it('refuses other names', () => {
    expect(() => selectContents(['goldenz'], available)).toThrow(
      'there is no goldenz; programs: b',
    );
  });
});
