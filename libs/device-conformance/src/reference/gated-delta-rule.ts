/** Operands of one problem; all of it by rows of packed sequences. */
export interface DeltaRule {
  readonly lengths: readonly number[];
  readonly keyHeads: number;
  readonly valueHeads: number;
  /** Length of a key and of a value. */
  readonly keys: number;
  readonly values: number;
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly decay: Float64Array;
  readonly strength: Float64Array;
  /** (sequences, valueHeads, keys, values) */
  readonly initialState: Float64Array;
}

export interface DeltaRuleResult {
  readonly out: Float64Array;
  readonly finalState: Float64Array;
  /** The state after each row: (rows, valueHeads, keys, values). */
  readonly after: Float64Array;
}

export type DeltaRuleGradients = Readonly<
  Record<'dQ' | 'dK' | 'dV' | 'dDecay' | 'dStrength' | 'dInitialState', Float64Array>
>;

/** Row by row: the state decays, is read, is corrected, and answers. */
export function gatedDeltaRule(rule: DeltaRule): DeltaRuleResult {
  const stateSize = rule.keys * rule.values;
  const rows = rule.lengths.reduce((sum, length) => sum + length, 0);
  const out = new Float64Array(rule.v.length);
  const after = new Float64Array(rows * rule.valueHeads * stateSize);
  const finalState = rule.initialState.slice();
  for (const step of steps(rule)) {
    const state = finalState.subarray(step.state, step.state + stateSize);
    const alpha = Math.exp(rule.decay[step.gate] as number);
    state.forEach((value, i) => (state[i] = alpha * value));
    const { q, k } = step;
    const written = corrections(rule, step, state);
    state.forEach((value, i) => {
      const [key, column] = [Math.floor(i / rule.values), i % rule.values];
      state[i] = value + (k[key] as number) * (written[column] as number);
    });
    out.set(read(state, q, rule.values), step.value);
    after.set(state, step.gate * stateSize);
  }
  return { out, finalState, after };
}

/** The same steps backwards, from the states that the forward had. */
export function gatedDeltaRuleBackward(
  rule: DeltaRule,
  { after }: DeltaRuleResult,
  { dOut, dFinalState }: Readonly<Record<'dOut' | 'dFinalState', Float64Array>>,
): DeltaRuleGradients {
  const stateSize = rule.keys * rule.values;
  const [dQ, dK, dV] = [rule.q, rule.k, rule.v].map(({ length }) => new Float64Array(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const [dDecay, dStrength] = [rule.decay.slice(), rule.strength.slice()];
  const dInitialState = dFinalState.slice();
  for (const step of [...steps(rule)].reverse()) {
    const gradient = dInitialState.subarray(step.state, step.state + stateSize);
    const { q, k, v } = step;
    const alpha = Math.exp(rule.decay[step.gate] as number);
    const strength = rule.strength[step.gate] as number;
    const before = step.isFirst
      ? rule.initialState.subarray(step.state, step.state + stateSize)
      : after.subarray((step.gate - rule.valueHeads) * stateSize).subarray(0, stateSize);
    const decayed = before.map((value) => alpha * value);
    const written = corrections(rule, step, decayed);
    const state = after.subarray(step.gate * stateSize, (step.gate + 1) * stateSize);
    const dAnswer = dOut.subarray(step.value, step.value + rule.values);
    addOuter(gradient, q, dAnswer, 1);
    addTo(dQ, step.key, readByKey(state, dAnswer, rule.keys));
    const dWritten = read(gradient, k, rule.values);
    const expected = read(decayed, k, rule.values);
    dStrength[step.gate] = dWritten.reduce(
      (sum, value, i) => sum + value * ((v[i] as number) - (expected[i] as number)),
      0,
    );
    const dRead = dWritten.map((value) => strength * value);
    dV.set(dRead, step.value);
    addTo(dK, step.key, readByKey(gradient, written, rule.keys));
    addTo(
      dK,
      step.key,
      readByKey(decayed, dRead, rule.keys).map((value) => -value),
    );
    addOuter(gradient, k, dRead, -1);
    dDecay[step.gate] = gradient.reduce((sum, value, i) => sum + value * (decayed[i] as number), 0);
    gradient.forEach((value, i) => (gradient[i] = alpha * value));
  }
  return { dQ, dK, dV, dDecay, dStrength, dInitialState };
}

interface Step {
  readonly isFirst: boolean;
  /** Where its state, key, value and gates begin. */
  readonly state: number;
  readonly key: number;
  readonly value: number;
  readonly gate: number;
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
}

function* steps(rule: DeltaRule): Generator<Step> {
  const { lengths, keyHeads, valueHeads, keys, values } = rule;
  let row = 0;
  for (const [sequence, length] of lengths.entries()) {
    for (let position = 0; position < length; position += 1, row += 1) {
      for (let head = 0; head < valueHeads; head += 1) {
        const keyHead = Math.floor((head * keyHeads) / valueHeads);
        const [key, value] = [
          (row * keyHeads + keyHead) * keys,
          (row * valueHeads + head) * values,
        ];
        yield {
          isFirst: position === 0,
          state: (sequence * valueHeads + head) * keys * values,
          ...{ key, value, gate: row * valueHeads + head },
          q: rule.q.subarray(key, key + keys),
          k: rule.k.subarray(key, key + keys),
          v: rule.v.subarray(value, value + values),
        };
      }
    }
  }
}

/** strength · (v − stateᵀ k) */
function corrections(
  { strength, values }: DeltaRule,
  { gate, k, v }: Step,
  state: Float64Array,
): Float64Array {
  const expected = read(state, k, values);
  return v.map((value, i) => (strength[gate] as number) * (value - (expected[i] as number)));
}

/** stateᵀ key */
function read(state: Float64Array, key: Float64Array, values: number): Float64Array {
  const out = new Float64Array(values);
  key.forEach((factor, i) => {
    for (let j = 0; j < values; j += 1)
      out[j] = (out[j] as number) + factor * (state[i * values + j] as number);
  });
  return out;
}

/** state · value */
function readByKey(state: Float64Array, value: Float64Array, keys: number): Float64Array {
  return Float64Array.from({ length: keys }, (_, i) =>
    value.reduce((sum, factor, j) => sum + factor * (state[i * value.length + j] as number), 0),
  );
}

/** state += sign · key valueᵀ */
function addOuter(state: Float64Array, key: Float64Array, value: Float64Array, sign: number): void {
  key.forEach((factor, i) =>
    value.forEach((other, j) => {
      const at = i * value.length + j;
      state[at] = (state[at] as number) + sign * factor * other;
    }),
  );
}

function addTo(out: Float64Array, start: number, values: Float64Array): void {
  values.forEach((value, i) => (out[start + i] = (out[start + i] as number) + value));
}
