import { isObject, refusedParameter, type Parameters } from './parameters.js';

type Harmless = (value: unknown) => boolean;

const only =
  (...values: readonly unknown[]): Harmless =>
  (value) =>
    values.includes(value);
const never: Harmless = () => false;
const empty: Harmless = (value) =>
  Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;

/**
 * Parameters of OpenAI's API, llama.cpp's server and vLLM that would change the answer and are not
 * there, with the values that ask for nothing.
 */
const unsupported: Readonly<Record<string, Harmless>> = Object.freeze({
  n: only(1),
  best_of: only(1),
  echo: only(false),
  suffix: only(''),
  logprobs: only(false),
  top_logprobs: only(0),
  prompt_logprobs: only(0),
  logit_bias: empty,
  frequency_penalty: only(0),
  presence_penalty: only(0),
  repetition_penalty: only(1),
  repeat_penalty: only(1),
  length_penalty: only(1),
  dry_multiplier: only(0),
  top_k: only(-1, 0),
  min_p: only(0),
  typical_p: only(1),
  mirostat: only(0),
  use_beam_search: only(false),
  min_tokens: only(0),
  ignore_eos: only(false),
  bad_words: empty,
  stop_token_ids: empty,
  include_stop_str_in_output: only(false),
  skip_special_tokens: only(true),
  response_format: (value) => isObject(value) && value['type'] === 'text',
  json_schema: never,
  grammar: only(''),
  guided_json: never,
  guided_regex: never,
  guided_choice: never,
  guided_grammar: never,
  structured_outputs: never,
  tools: empty,
  tool_choice: only('none', 'auto'),
  functions: empty,
  function_call: only('none', 'auto'),
  modalities: (value) => Array.isArray(value) && value.every((each) => each === 'text'),
  audio: never,
  reasoning_effort: never,
  web_search_options: never,
  chat_template: never,
  add_generation_prompt: only(true),
  continue_final_message: only(false),
  documents: empty,
});

/** @throws RequestRefusal for a parameter that would change the answer and is not there */
export function assertSupported(parameters: Parameters): void {
  for (const [name, isHarmless] of Object.entries(unsupported)) {
    const value = parameters.get(name);
    if (value === null || isHarmless(value)) continue;
    throw refusedParameter(name, 'it is not supported, and would change the answer', 'unsupported');
  }
}
