import {
  add,
  attention,
  gatedActivation,
  linear,
  ProgramBuilder,
  rmsNorm,
  rope,
  scaleByParameter,
  type Program,
} from '@emloc/autograd';
import { at } from '@emloc/checked';

import { feedForward, maskOf } from '../decoder-layer.js';
import { streams, tokens } from '../decoder-streams.js';
import { gemma4Streams, type Gemma4Layer, type Gemma4Shape } from './shape.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** Names of the linears that turn a layer's own input into its contribution. */
export const inputLinears = Object.freeze({
  gate: 'per_layer_input_gate',
  projection: 'per_layer_projection',
});

/** A layer: attention, a gated feed-forward, its own input if there is one, and a factor on all. */
export function gemma4Program(shape: Gemma4Shape, index: number): Program {
  return new LayerBuilder(shape, at(shape.layers, index), index).build();
}

class LayerBuilder {
  readonly #block = new ProgramBuilder();

  constructor(
    private readonly shape: Gemma4Shape,
    private readonly layer: Gemma4Layer,
    private readonly index: number,
  ) {}

  build(): Program {
    const { layer, index } = this;
    const block = this.#block;
    const x = block.input(streams.hidden, this.shape.hiddenSize, tokens);
    const { out, keys, values } = this.#attention(this.#norm(x, 'input_layernorm'));
    const attended = add(block, x, this.#norm(out, 'post_attention_layernorm'));
    const fed = this.#withInput(this.#feedForward(attended));
    return block.build({
      [streams.hidden]: scaleByParameter(block, fed, 'layer_scalar'),
      ...(layer.isSource && {
        [gemma4Streams.keys(index)]: keys,
        [gemma4Streams.values(index)]: values,
      }),
    });
  }

  #norm(x: Value, name: string): Value {
    return rmsNorm(this.#block, x, { epsilon: this.shape.epsilon, weight: `${name}.weight` });
  }

  #feedForward(x: Value): Value {
    const { intermediateSize } = this.layer;
    const normed = this.#norm(x, 'pre_feedforward_layernorm');
    const fed = feedForward(this.#block, normed, { ...this.shape, intermediateSize });
    return add(this.#block, x, this.#norm(fed, 'post_feedforward_layernorm'));
  }

  #withInput(x: Value): Value {
    const { layerInputs, hiddenSize, activation: kind } = this.shape;
    const { inputs } = this.layer;
    if (!layerInputs || inputs === null) return x;
    const block = this.#block;
    const own = block.input(gemma4Streams.input(inputs), layerInputs.width, tokens);
    const gate = linear(block, x, { name: inputLinears.gate, outFeatures: layerInputs.width });
    const gated = gatedActivation(block, { gate, up: own, kind });
    const out = linear(block, gated, { name: inputLinears.projection, outFeatures: hiddenSize });
    return add(block, x, this.#norm(out, 'post_per_layer_input_norm'));
  }

  #attention(x: Value): { readonly out: Value; readonly keys: Value; readonly values: Value } {
    const block = this.#block;
    const { heads, hiddenSize, bias, attentionScale: scale } = this.shape;
    const { kvHeads, headDim } = this.layer;
    const query = this.#project(x, 'q_proj', heads * headDim);
    const q = this.#rotated(this.#headNorm(query, heads, 'q_norm'), heads);
    const { keys: k, values: v } = this.#keysAndValues(x);
    const mask = maskOf(this.layer, this.shape);
    const cache = this.#cache();
    const seen = attention(block, { q, k, v, heads, kvHeads, scale, mask, cache });
    const name = 'self_attn.o_proj';
    const out = linear(block, seen, { name, outFeatures: hiddenSize, bias: bias.output });
    return { out, keys: k, values: v };
  }

  #cache() {
    const { keysAndValues, isSource } = this.layer;
    if (typeof keysAndValues === 'object')
      return { name: gemma4Streams.keys(keysAndValues.of), isWritten: false };
    return isSource ? { name: gemma4Streams.keys(this.index), isWritten: true } : undefined;
  }

  /** Of one projection, both are of what it gives, before its norm and its rotation. */
  #keysAndValues(x: Value): { readonly keys: Value; readonly values: Value } {
    const { kvHeads, headDim, keysAndValues } = this.layer;
    const width = kvHeads * headDim;
    if (typeof keysAndValues === 'object') {
      const { keys, values } = gemma4Streams;
      const read = (stream: string): Value => this.#block.input(stream, width, tokens);
      return { keys: read(keys(keysAndValues.of)), values: read(values(keysAndValues.of)) };
    }
    const raw = this.#project(x, 'k_proj', width);
    const value = keysAndValues === 'equal' ? raw : this.#project(x, 'v_proj', width);
    const keys = this.#rotated(this.#headNorm(raw, kvHeads, 'k_norm'), kvHeads);
    return { keys, values: this.#headNorm(value, kvHeads, null) };
  }

  #project(x: Value, name: string, outFeatures: number): Value {
    const bias = this.shape.bias.qkv;
    return linear(this.#block, x, { name: `self_attn.${name}`, outFeatures, bias });
  }

  #headNorm(x: Value, heads: number, name: string | null): Value {
    const weight = name === null ? null : `self_attn.${name}.weight`;
    return rmsNorm(this.#block, x, { epsilon: this.shape.epsilon, weight, heads });
  }

  #rotated(x: Value, heads: number): Value {
    const { type: table, headDim: rotaryDim } = this.layer;
    return rope(this.#block, x, { table, heads, rotaryDim });
  }
}
