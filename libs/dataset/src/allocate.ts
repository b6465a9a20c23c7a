import { at } from '@emloc/checked';

/** What takes part in a division. */
export interface Claim {
  /** Above 0. */
  readonly share: number;
  /** It is given no more. */
  readonly most: number;
}

/**
 * Divides whole things in proportion to shares: one after another goes where it is missed most, by
 * the divisors of Webster (1, 3, 5, ...). What one cannot take the others do; at equal need the
 * first.
 * @returns how many each has; together `total`, or all that they can take
 */
export function allocate(total: number, claims: readonly Claim[]): number[] {
  const given = claims.map(() => 0);
  for (let left = total; left > 0; left -= 1) {
    const next = neediest(claims, given);
    if (next === null) break;
    given[next] = at(given, next) + 1;
  }
  return given;
}

function neediest(claims: readonly Claim[], given: readonly number[]): number | null {
  let [chosen, need] = [null as number | null, 0];
  for (const [index, { share, most }] of claims.entries()) {
    const has = at(given, index);
    const own = has < most ? share / (2 * has + 1) : 0;
    if (own > need) [chosen, need] = [index, own];
  }
  return chosen;
}
