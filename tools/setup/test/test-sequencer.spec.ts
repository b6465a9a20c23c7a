import { startsPrograms } from '../test-sequencer.mjs';

describe('startsPrograms', () => {
  it.each([
    ['/repo/tools/soak/test/chaos.spec.ts', true],
    ['/repo/services/trainer/test/processes.spec.ts', true],
    ['C:\\repo\\tools\\cli\\test\\serve.spec.ts', true],
    ['/repo/tools/cli/src/flags.spec.ts', false],
    ['/repo/libs/rpc/test/calls.spec.ts', false],
  ])('%s: %p', (path, expected) => {
    expect(startsPrograms(path)).toBe(expected);
  });
});
