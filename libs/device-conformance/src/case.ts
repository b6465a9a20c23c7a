import type { Fixture } from './fixture.js';

/** One behaviour that a device must have; it throws an AssertionError where the device does not. */
export interface CaseDefinition {
  readonly group: string;
  readonly name: string;
  check(fixture: Fixture): Promise<void>;
}

/** Cases of one group from names and checks. */
export function group(
  name: string,
  checks: Readonly<Record<string, CaseDefinition['check']>>,
): CaseDefinition[] {
  return Object.entries(checks).map(([caseName, check]) => ({
    group: name,
    name: caseName,
    check,
  }));
}
