import { RequestRefusal } from '../errors.js';
import type { AnswerRequest, ChatModel, Question, SamplingRequest } from '../model.js';
import { messagesOf } from './messages.js';
import { isObject, Parameters, refusedParameter } from './parameters.js';
import { assertSupported } from './unsupported.js';

/** How the client wants to have the answer. */
interface Delivery {
  readonly isStreamed: boolean;
  /** Whether a stream ends with what it took. */
  readonly includesUsage: boolean;
}

export type AskedAnswer = AnswerRequest & Delivery;

/** Reads the body of a request for an answer. @throws RequestRefusal */
export type ReadRequest = (body: unknown, model: ChatModel) => AskedAnswer;

/** Of `/v1/chat/completions`. */
export const readChatRequest: ReadRequest = (body, model) =>
  read(body, model, (parameters) => ({
    kind: 'conversation',
    messages: messagesOf(parameters.get('messages'), model),
    templateArguments: parameters.object('chat_template_kwargs'),
  }));

/** Of `/v1/completions`. */
export const readTextRequest: ReadRequest = (body, model) =>
  read(body, model, (parameters) => ({ kind: 'text', text: promptOf(parameters.get('prompt')) }));

function read(
  body: unknown,
  model: ChatModel,
  questionOf: (parameters: Parameters) => Question,
): AskedAnswer {
  if (!isObject(body)) throw new RequestRefusal('the body must be a JSON object');
  const parameters = new Parameters(body);
  assertModel(parameters, model);
  assertSupported(parameters);
  return {
    question: questionOf(parameters),
    sampling: samplingOf(parameters),
    ...deliveryOf(parameters),
  };
}

/** Who names a model means that one: another one's answer would be taken for its. */
function assertModel(parameters: Parameters, { id }: ChatModel): void {
  const name = parameters.text('model');
  if (name === null || name === id) return;
  throw new RequestRefusal(`model: it is not here; "${id}" is`, {
    ...{ status: 404, param: 'model', code: 'model_not_found' },
  });
}

function deliveryOf(parameters: Parameters): Delivery {
  const isStreamed = parameters.flag('stream');
  const options = parameters.object('stream_options');
  if (options && !isStreamed)
    throw refusedParameter('stream_options', 'it goes with "stream": true only');
  return { isStreamed, includesUsage: new Parameters(options ?? {}).flag('include_usage') };
}

function samplingOf(parameters: Parameters): SamplingRequest {
  return {
    maxTokens: maxTokensOf(parameters),
    temperature: parameters.number('temperature', 'of at least 0', (value) => value >= 0),
    topP: parameters.number('top_p', 'above 0 and at most 1', (value) => value > 0 && value <= 1),
    seed: parameters.integer('seed', 0),
    stops: stopsOf(parameters.get('stop')),
  };
}

function maxTokensOf(parameters: Parameters): number | null {
  const older = parameters.integer('max_tokens', 1);
  const newer = parameters.integer('max_completion_tokens', 1);
  if (older !== null && newer !== null && older !== newer)
    throw refusedParameter('max_tokens', 'it contradicts max_completion_tokens');
  return newer ?? older;
}

const mostStops = 16;
/** Characters of one: as much of an answer is held back until it is known to be none. */
const longestStop = 1000;

function stopsOf(value: unknown): readonly string[] {
  const stops: readonly unknown[] = value === null ? [] : Array.isArray(value) ? value : [value];
  if (stops.length > mostStops)
    throw refusedParameter('stop', `at most ${mostStops} texts are expected`);
  return stops.map((stop) => {
    if (typeof stop === 'string' && stop.length > 0 && stop.length <= longestStop) return stop;
    throw refusedParameter('stop', `texts of 1 to ${longestStop} characters are expected`);
  });
}

/** A list of one text is as good as the text. */
function promptOf(value: unknown): string {
  const prompt: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof prompt === 'string') return prompt;
  throw refusedParameter('prompt', prompt === null ? 'it is missing' : 'one text is expected');
}
