import { at } from '@emloc/checked';

/** A gated delta rule over packed sequences: value head h reads key head floor(h / group). */
export interface RuleSizes {
  readonly lengths: readonly number[];
  readonly keyHeads: number;
  readonly group: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

type Values = ArrayLike<number>;

/** Laid out as the kernel's operands. */
export interface RuleValues {
  readonly q: Values;
  readonly k: Values;
  readonly v: Values;
  readonly decay: Values;
  readonly strength: Values;
  readonly initialState: Values;
  readonly dOut: Values;
  readonly dFinalState: Values;
}

export type RuleResults = ReturnType<typeof createResults>;

/** The rule and its gradients in double precision, row by row as they are defined. */
export function ruleReference(sizes: RuleSizes, values: RuleValues): RuleResults {
  const results = createResults(sizes);
  let start = 0;
  sizes.lengths.forEach((length, sequence) => {
    for (let head = 0; head < sizes.keyHeads * sizes.group; head += 1)
      runHead(sizes, values, results, { start, length, sequence, head });
    start += length;
  });
  return results;
}

function createResults({ lengths, keyHeads, group, keyDim, valueDim }: RuleSizes) {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const heads = keyHeads * group;
  const ends = lengths.length * heads * keyDim * valueDim;
  return {
    out: new Float64Array(rows * heads * valueDim),
    finalState: new Float64Array(ends),
    dQ: new Float64Array(rows * keyHeads * keyDim),
    dK: new Float64Array(rows * keyHeads * keyDim),
    dV: new Float64Array(rows * heads * valueDim),
    dDecay: new Float64Array(rows * heads),
    dStrength: new Float64Array(rows * heads),
    dInitialState: new Float64Array(ends),
  };
}

interface Head {
  readonly start: number;
  readonly length: number;
  readonly sequence: number;
  readonly head: number;
}

/** Where a row's operands of a head begin. */
function placesOf({ keyHeads, group, keyDim, valueDim }: RuleSizes, row: number, head: number) {
  const gate = row * keyHeads * group + head;
  const key = (row * keyHeads + Math.floor(head / group)) * keyDim;
  return { gate, key, value: gate * valueDim };
}

function runHead(sizes: RuleSizes, values: RuleValues, results: RuleResults, head: Head): void {
  const { keyDim, valueDim, keyHeads, group } = sizes;
  const elements = keyDim * valueDim;
  const end = (head.sequence * keyHeads * group + head.head) * elements;
  const state = Float64Array.from({ length: elements }, (_, i) => at(values.initialState, end + i));
  const traces = Array.from({ length: head.length }, (_, row) =>
    stepForward(sizes, values, results, state, placesOf(sizes, head.start + row, head.head)),
  );
  results.finalState.set(state, end);
  for (let i = 0; i < elements; i += 1) state[i] = at(values.dFinalState, end + i);
  for (let row = head.length - 1; row >= 0; row -= 1) {
    const places = placesOf(sizes, head.start + row, head.head);
    stepBackward(sizes, values, results, state, { ...places, ...at(traces, row) });
  }
  results.dInitialState.set(state, end);
}

type Places = ReturnType<typeof placesOf>;

/** What the backward of a row reads: the decayed state, and the value less what it answers. */
interface Trace {
  readonly decayed: Float64Array;
  readonly errors: Float64Array;
}

/** Changes `state` to the one behind the row. */
function stepForward(
  { keyDim, valueDim }: RuleSizes,
  { q, k, v, decay, strength }: RuleValues,
  { out }: RuleResults,
  state: Float64Array,
  { gate, key, value }: Places,
): Trace {
  const [left, beta] = [Math.exp(at(decay, gate)), at(strength, gate)];
  const decayed = state.map((x) => x * left);
  const errors = Float64Array.from({ length: valueDim }, (_, e) => at(v, value + e));
  for (let d = 0; d < keyDim; d += 1)
    for (let e = 0; e < valueDim; e += 1)
      errors[e] = at(errors, e) - at(decayed, d * valueDim + e) * at(k, key + d);
  for (let d = 0; d < keyDim; d += 1) {
    for (let e = 0; e < valueDim; e += 1) {
      const i = d * valueDim + e;
      const next = at(decayed, i) + at(k, key + d) * beta * at(errors, e);
      state[i] = next;
      out[value + e] = at(out, value + e) + next * at(q, key + d);
    }
  }
  return { decayed, errors };
}

/** Changes `state`, the gradient of the state behind the row, to that of the one before it. */
function stepBackward(
  { keyDim, valueDim }: RuleSizes,
  { q, k, decay, strength, dOut }: RuleValues,
  { dQ, dK, dV, dDecay, dStrength }: RuleResults,
  state: Float64Array,
  { gate, key, value, decayed, errors }: Places & Trace,
): void {
  const [left, beta] = [Math.exp(at(decay, gate)), at(strength, gate)];
  const dUpdate = new Float64Array(valueDim);
  for (let d = 0; d < keyDim; d += 1) {
    for (let e = 0; e < valueDim; e += 1) {
      const [i, update, dAnswer] = [d * valueDim + e, beta * at(errors, e), at(dOut, value + e)];
      const gradient = at(state, i) + at(q, key + d) * dAnswer;
      state[i] = gradient;
      dUpdate[e] = at(dUpdate, e) + gradient * at(k, key + d);
      const after = at(decayed, i) + at(k, key + d) * update;
      dQ[key + d] = at(dQ, key + d) + after * dAnswer;
      dK[key + d] = at(dK, key + d) + gradient * update;
    }
  }
  for (let e = 0; e < valueDim; e += 1) {
    dV[value + e] = beta * at(dUpdate, e);
    dStrength[gate] = at(dStrength, gate) + at(dUpdate, e) * at(errors, e);
  }
  for (let d = 0; d < keyDim; d += 1) {
    for (let e = 0; e < valueDim; e += 1) {
      const [i, dValue] = [d * valueDim + e, at(dV, value + e)];
      const gradient = at(state, i) - at(k, key + d) * dValue;
      dK[key + d] = at(dK, key + d) - at(decayed, i) * dValue;
      dDecay[gate] = at(dDecay, gate) + gradient * at(decayed, i);
      state[i] = gradient * left;
    }
  }
}
