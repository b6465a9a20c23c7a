import { expectedOutputs, randomProgram, runPlanned, runSimulated } from '../test/program.js';
import type { PagerEvent } from './statistics.js';

const pages = (events: readonly PagerEvent[]) =>
  events.filter(({ type }) => type === 'page-in' || type === 'page-out');

describe('pager on an asynchronous device', () => {
  test('every kernel sees the layer as it is held, within both budgets, and nothing is left', async () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const program = randomProgram(seed);
      const run = await runSimulated(program, seed, { prefetch: seed % 4 !== 0 });
      expect([seed, run.backend.violations]).toEqual([seed, []]);
      expect([seed, run.outputs]).toEqual([seed, await expectedOutputs(program)]);
      expect(run.peakWeightBytes).toBeLessThanOrEqual(program.deviceBytes);
      expect(run.backend.peakHostBytes).toBeLessThanOrEqual(program.hostBytes);
      expect([
        seed,
        run.device.liveTensors,
        run.device.budget.inUseBytes,
        run.backend.liveHostBytes,
        run.backend.liveEvents,
      ]).toEqual([seed, 0, 0, 0, 0]);
    }
  });

  test('the device peak and what is paged depend on the calls only: not on timing, prefetch or device', async () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const program = randomProgram(5000 + seed);
      const planned = await runPlanned(program);
      const expected = { seed, peakBytes: planned.peakBytes, pages: pages(planned.events) };
      for (const [timing, prefetch] of [
        [1, true],
        [2, true],
        [3, false],
      ] as const) {
        const run = await runSimulated(program, 10 * seed + timing, { prefetch });
        expect({ seed, peakBytes: run.peakBytes, pages: pages(run.events) }).toEqual(expected);
      }
    }
  });
});
