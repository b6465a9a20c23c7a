import { get } from '@emloc/checked';
import type { Backend } from '@emloc/device';

import {
  conformanceCases,
  type ConformanceCase,
  type ConformanceOptions,
} from './conformance-cases.js';
import { runConformanceCase } from './run-conformance-case.js';

export interface DeviceConformanceOptions extends ConformanceOptions {
  /**
   * Cases that the device is known not to pass, as 'group' or 'group: name', with the reason. One
   * that passes fails the suite.
   */
  readonly gaps?: Readonly<Record<string, string>>;
}

/**
 * Registers every case with jest, on each of some backends after another, so that what a reference
 * gives for one is there for the others. A backend serves all cases; each has a device and a budget
 * of its own.
 * @param backends by name
 */
export function describeDeviceConformance(
  backends: Readonly<Record<string, () => Promise<Backend> | Backend>>,
  { gaps = {}, ...options }: DeviceConformanceOptions = {},
): void {
  describe('device conformance', () => {
    const names = Object.keys(backends);
    const opened = new Map<string, Backend>();
    beforeAll(async () => {
      for (const [name, create] of Object.entries(backends)) opened.set(name, await create());
    });
    afterAll(() => Promise.all([...opened.values()].map((backend) => backend.close())));
    const cases = conformanceCases(options);
    for (const group of new Set(cases.map((conformanceCase) => conformanceCase.group))) {
      describe(group, () => {
        for (const conformanceCase of cases.filter((candidate) => candidate.group === group))
          describe.each(names)('on %s', (name) =>
            register(conformanceCase, gaps, () => get(opened, name)),
          );
      });
    }
    test('declares gaps of cases that exist', () => {
      const keys = new Set(
        cases.flatMap((conformanceCase) => [conformanceCase.group, keyOf(conformanceCase)]),
      );
      expect(Object.keys(gaps).filter((gap) => !keys.has(gap))).toEqual([]);
    });
  });
}

function register(
  conformanceCase: ConformanceCase,
  gaps: Readonly<Record<string, string>>,
  backend: () => Backend,
): void {
  const reason = gaps[keyOf(conformanceCase)] ?? gaps[conformanceCase.group];
  if (reason === undefined) {
    test(conformanceCase.name, () => runConformanceCase(backend(), conformanceCase));
    return;
  }
  test(`${conformanceCase.name} (gap: ${reason})`, () => expectGap(conformanceCase, backend()));
}

/** @throws Error when the case passes */
export async function expectGap(conformanceCase: ConformanceCase, backend: Backend): Promise<void> {
  try {
    await runConformanceCase(backend, conformanceCase);
  } catch {
    return;
  }
  throw new Error(`${keyOf(conformanceCase)} passes: take it out of the gaps`);
}

function keyOf({ group, name }: ConformanceCase): string {
  return `${group}: ${name}`;
}
