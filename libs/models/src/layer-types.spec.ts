import { of } from '../test/shapes.js';
import type { DecoderShape } from './decoder-shape.js';

const windowsOf = ({ layers }: DecoderShape): readonly (number | null)[] =>
  layers.map(({ window }) => window);

describe('shapeOf has the windows of', () => {
  const [full, sliding] = ['full_attention', 'sliding_attention'];
  it.each([
    ['Qwen2ForCausalLM', {}, [null, null, null, null]],
    ['Qwen2ForCausalLM', { sliding_window: 8 }, [null, null, null, null]],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, max_window_layers: 3 },
      [null, null, null, 8],
    ],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, max_window_layers: 0 },
      [4096, 4096, 4096, 4096],
    ],
    [
      'Qwen2ForCausalLM',
      { use_sliding_window: true, sliding_window: null, max_window_layers: 0 },
      [null, null, null, null],
    ],
    [
      'Qwen3ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, layer_types: [sliding, full, full, sliding] },
      [8, null, null, 8],
    ],
    ['MistralForCausalLM', {}, [4096, 4096, 4096, 4096]],
    ['MistralForCausalLM', { sliding_window: null }, [null, null, null, null]],
    ['MistralForCausalLM', { sliding_window: 6 }, [6, 6, 6, 6]],
    ['Ministral3ForCausalLM', {}, [null, null, null, null]],
    ['Phi3ForCausalLM', {}, [null, null, null, null]],
    ['Phi3ForCausalLM', { sliding_window: 2047 }, [2047, 2047, 2047, 2047]],
    ['Gemma2ForCausalLM', {}, [4096, null, 4096, null]],
    [
      'Gemma2ForCausalLM',
      { sliding_window: 8, layer_types: [full, full, sliding, full] },
      [null, null, 8, null],
    ],
    ['Gemma3ForCausalLM', { sliding_window: 8 }, [8, 8, 8, 8]],
    ['Gemma3ForCausalLM', { sliding_window: 8, sliding_window_pattern: 2 }, [8, null, 8, null]],
    ['Olmo3ForCausalLM', { sliding_window: 8 }, [8, 8, 8, null]],
    ['SmolLM3ForCausalLM', { sliding_window: 8 }, [null, null, null, null]],
    [
      'SmolLM3ForCausalLM',
      { use_sliding_window: true, sliding_window: 8, no_rope_layers: [1, 0, 1, 0] },
      [null, 8, null, 8],
    ],
  ])('%s with %j', (architecture, config, windows) => {
    expect(windowsOf(of(architecture, config))).toEqual(windows);
  });

  it('Gemma 3’s sixth layer, which sees everything and rotates otherwise', () => {
    const { layers } = of('Gemma3ForCausalLM', { num_hidden_layers: 7, sliding_window: 8 });
    const tables = layers.map(({ rope }) => rope?.key);
    expect(tables).toEqual([...Array.from({ length: 5 }, () => sliding), full, sliding]);
    expect(layers[5]?.window).toBeNull();
  });
});
