import { PyDict } from '../jinja/index.js';
import type { Conversation, ExchangeContent } from './dataset-row.js';

/** What is asked and what is answered as turns of user and assistant. */
export function turnsOf(content: ExchangeContent): Conversation {
  const { asked, answered } =
    content.kind === 'completion'
      ? {
          asked: { field: 'prompt', text: content.prompt },
          answered: { field: 'completion', text: content.completion },
        }
      : {
          asked: { field: 'instruction', text: linesOf(content).join('\n') },
          answered: { field: 'output', text: content.output },
        };
  return {
    messages: [message('user', asked.text), message('assistant', answered.text)],
    isTrained: [false, true],
    fieldOf: (index) => (index === 0 ? asked.field : answered.field),
    imageTurns: new Map(),
  };
}

/** A row as text, for what has no chat template: what is given, and what is learned. */
export interface PlainText {
  readonly prompt: string;
  readonly completion: string;
}

/** An instruction and its input end with a line end each: nothing else keeps the answer apart. */
export function plainTextOf(content: ExchangeContent): PlainText {
  if (content.kind === 'completion') return content;
  const prompt = linesOf(content)
    .map((line) => `${line}\n`)
    .join('');
  return { prompt, completion: content.output };
}

function linesOf({
  instruction,
  input,
}: Extract<ExchangeContent, { kind: 'instruction' }>): string[] {
  return input === '' ? [instruction] : [instruction, input];
}

function message(role: string, content: string): PyDict {
  return PyDict.fromEntries([
    ['role', role],
    ['content', content],
  ]);
}
