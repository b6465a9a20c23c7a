import TestSequencer, { startsPrograms } from '../test-sequencer.mjs';

type Tests = Parameters<TestSequencer['sort']>[0];

describe('the order of suites', () => {
  const [long, short, program] = [
    '/r/libs/a/long.spec.ts',
    '/r/libs/a/b.spec.ts',
    '/r/tools/x/test/c.spec.ts',
  ];
  const orderOf = async (durations: readonly (number | undefined)[]): Promise<string[]> => {
    const tests = [short, long, program].map((path, index) => ({
      path,
      duration: durations[index],
      // Sizes that say nothing of themselves, and no results of earlier runs.
      context: {
        config: { cacheDirectory: '/nowhere', id: 'x', name: 'x' },
        hasteFS: { getSize: () => 1 },
      },
    }));
    const sorted = await new TestSequencer({ contexts: [], globalConfig: {} } as never).sort(
      tests as unknown as Tests,
    );
    return [...sorted].map(({ path }) => path);
  };

  it('begins with what starts programs as long as a time is not known', async () => {
    expect((await orderOf([undefined, undefined, undefined]))[0]).toBe(program);
    expect((await orderOf([1, 9, undefined]))[0]).toBe(program);
  });
});

describe('startsPrograms', () => {
  it.each([
    ['/repo/tools/soak/test/chaos.spec.ts', true],
    ['/repo/services/trainer/test/processes.spec.ts', true],
    ['C:\\repo\\tools\\cli\\test\\serve.spec.ts', true],
    ['/repo/libs/device-cuda/src/kernels.spec.ts', true],
    ['/repo/tools/cli/src/flags.spec.ts', false],
    ['/repo/tools/goldens/test/families.spec.ts', false],
    ['/repo/libs/rpc/test/calls.spec.ts', false],
  ])('%s: %p', (path, expected) => {
    expect(startsPrograms(path)).toBe(expected);
  });
});
