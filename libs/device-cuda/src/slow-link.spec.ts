import type { Launcher } from './launcher.js';
import type { Driver } from './native/driver.js';
import { SlowLink } from './slow-link.js';

/** A driver and a launcher that remember what they are asked for. */
function recording() {
  const calls: unknown[] = [];
  let parameters: number[] = [];
  const driver = {
    cuMemAlloc: (address: BigUint64Array) => (address[0] = 4096n),
    cuMemFree: (address: number) => calls.push(['free', address]),
  };
  const launcher = {
    begin: () => {
      parameters = [];
      return launcher;
    },
    pointer: (value: number) => {
      parameters.push(value);
      return launcher;
    },
    launch: (_file: string, name: string, { stream }: { stream: string }) =>
      calls.push([name, stream, ...parameters]),
  };
  return {
    calls,
    driver: driver as unknown as Driver,
    launcher: launcher as unknown as Launcher,
  };
}

describe('a slow link', () => {
  test('holds the stream of a copy until the copy has taken its time', () => {
    const { calls, driver, launcher } = recording();
    const link = new SlowLink(driver, launcher, 25e9);
    link.slow(5e9, 'copy', () => calls.push('copy'));
    link.close();
    expect(calls).toEqual([
      ['slow_link_begin', 'copy', 4096],
      'copy',
      ['slow_link_end', 'copy', 4096, 2e8],
      ['free', 4096],
    ]);
  });
});
