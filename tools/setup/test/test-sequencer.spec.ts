import { sideBySide, startsPrograms } from '../test-sequencer.mjs';

describe('sideBySide', () => {
  /** @param given durations by path, in milliseconds */
  const orderOf = (
    given: readonly (readonly [path: string, duration: number | undefined])[],
  ): string[] =>
    sideBySide(given.map(([path, duration]) => ({ path, duration }))).map(({ path }) => path);

  it('has suites that start programs beside the others, in the order of each kind', () => {
    const [long, short] = ['/r/tools/x/test/long.spec.ts', '/r/tools/x/test/short.spec.ts'];
    const [slow, middle, quick] = ['/r/libs/a.spec.ts', '/r/libs/b.spec.ts', '/r/libs/c.spec.ts'];
    expect(
      orderOf([
        [long, 9000],
        [slow, 6000],
        [middle, 5000],
        [short, 4000],
        [quick, 1000],
      ]),
    ).toEqual([long, slow, middle, short, quick]);
  });

  it('takes programs to be slow as long as no times are known', () => {
    const programs = ['/r/tools/x/test/a.spec.ts', '/r/tools/y/test/b.spec.ts'];
    const others = Array.from({ length: 10 }, (_, index) => `/r/libs/x/${index}.spec.ts`);
    const order = orderOf([...others, ...programs].map((path) => [path, undefined] as const));
    expect(order).toEqual([programs[0], ...others.slice(0, 8), programs[1], ...others.slice(8)]);
  });
});

describe('startsPrograms', () => {
  it.each([
    ['/repo/tools/soak/test/chaos.spec.ts', true],
    ['/repo/services/trainer/test/processes.spec.ts', true],
    ['/repo/services/coordinator/test/watching.spec.ts', false],
    ['C:\\repo\\tools\\cli\\test\\serve.spec.ts', true],
    ['/repo/tools/cli/src/flags.spec.ts', false],
    ['/repo/tools/goldens/test/families.spec.ts', false],
    ['/repo/libs/rpc/test/calls.spec.ts', false],
  ])('%s: %p', (path, expected) => {
    expect(startsPrograms(path)).toBe(expected);
  });
});
