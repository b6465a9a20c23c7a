import { at } from '@emloc/checked';
import { deltaChunks, type GatedDeltaRuleOptions, type Tensor } from '@emloc/device';

import type { BlockBindings } from '../bindings.js';
import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';
import { withState } from './carried-state.js';

export interface GatedDeltaRuleShape extends Pick<
  GatedDeltaRuleOptions,
  'keyHeads' | 'valueHeads'
> {
  /** (keyHeads · dk), scaled. None of the five values may have another user. */
  readonly q: Value;
  readonly k: Value;
  /** (valueHeads · dv) */
  readonly v: Value;
  /** (valueHeads): what decay and write strength come from. */
  readonly a: Value;
  readonly b: Value;
  /** Names of parameters (valueHeads). */
  readonly logDecay: string;
  readonly offset: string;
}

/**
 * Linear attention by the gated delta rule (arXiv 2412.06464), decay = −exp(logDecay) · softplus(a
 * + offset) and strength = σ(b), within each sequence. What it carries along rows is its state.
 */
export function gatedDeltaRule(block: ProgramBuilder, shape: GatedDeltaRuleShape): Value {
  const { q, k, v, a, b, keyHeads, valueHeads } = shape;
  const logDecay = block.float32Parameter(shape.logDecay, [valueHeads]);
  const offset = block.float32Parameter(shape.offset, [valueHeads]);
  const out = block.value(v.width, v.rows);
  const inputs = [q, k, v, a, b];
  const state = [valueHeads, q.width / keyHeads, v.width / valueHeads];
  const stateIndex = block.state({
    width: state.reduce((product, extent) => product * extent, 1),
    dtype: 'float32',
    rows: v.rows,
  });
  block.add({
    name: 'gatedDeltaRule',
    inputs,
    outputs: [out],
    isCheap: false,
    saves: () => inputs,
    leavesAux: () => true,

    forward(context) {
      const { bindings } = context;
      const { kernels } = bindings.device;
      const sequences = bindings.layout(v.rows);
      const gates = [context.rows(v), valueHeads];
      const decay = context.aux(gates, 'float32', 'gatedDeltaRule.decay');
      const strength = context.aux(gates, 'float32', 'gatedDeltaRule.strength');
      const states = context.keepsAux
        ? context.aux([deltaChunks(sequences), ...state], 'float32', 'gatedDeltaRule.states')
        : null;
      kernels.deltaGates({ ...gateOperands(context), decay, strength });
      const gated = { ...operandsOf(context), decay, strength, states, out: context.create(out) };
      withState(bindings, stateIndex, {
        shape: state,
        launch: ({ initial: initialState, final: finalState }) =>
          kernels.gatedDeltaRule({ ...gated, initialState, finalState }),
      });
    },

    backward(context) {
      const [decay, strength, states] = context.aux;
      if (!decay || !strength || !states || !inputs.some((each) => context.needsGradient(each)))
        return;
      const { device } = context.bindings;
      const gradients = context.own(inputs);
      const [dQ, dK, dV] = [at(gradients, 0), at(gradients, 1), at(gradients, 2)];
      const gate = (label: string): Tensor =>
        device.allocate(decay.shape, 'float32', 'activations', label);
      using dDecay = gate('gatedDeltaRule.dDecay');
      using dStrength = gate('gatedDeltaRule.dStrength');
      const { dOut } = context;
      const operands = { ...operandsOf(context), decay, strength, states };
      const written = { dQ, dK, dV, dDecay, dStrength };
      device.kernels.gatedDeltaRuleBackward({ ...operands, dOut, ...written });
      const [dA, dB] = [at(gradients, 3), at(gradients, 4)];
      device.kernels.deltaGatesBackward({ ...gateOperands(context), dDecay, dStrength, dA, dB });
    },
  });
  return out;

  function gateOperands(context: Context) {
    const { bindings } = context;
    return {
      a: context.get(a),
      b: context.get(b),
      logDecay: bindings.parameter(logDecay),
      offset: bindings.parameter(offset),
    };
  }

  function operandsOf(context: Context) {
    return {
      q: context.get(q),
      k: context.get(k),
      v: context.get(v),
      sequences: context.bindings.layout(v.rows),
      keyHeads,
      valueHeads,
    };
  }
}

interface Context {
  readonly bindings: BlockBindings;
  get(value: Value): Tensor;
}
