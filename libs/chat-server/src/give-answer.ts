import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import type { AnswerFormat, AnswerHead } from './formats.js';
import { EventStream, sendJson } from './http/send.js';
import type { Answered, AnswerListener, ChatModel } from './model.js';
import type { AskedAnswer } from './request/answer-request.js';

interface Giving {
  readonly model: ChatModel;
  readonly asked: AskedAnswer;
  readonly format: AnswerFormat;
  readonly response: ServerResponse;
  /** Aborted when nobody takes the answer any more. */
  readonly signal: AbortSignal;
}

/**
 * Has a question answered, and sends the answer: whole, or in events as it is made.
 * @throws RequestRefusal before anything is sent; what the model throws
 */
export function giveAnswer(giving: Giving): Promise<Answered> {
  const { format, model } = giving;
  const head: AnswerHead = {
    id: `${format.idPrefix}${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: model.id,
  };
  return giving.asked.isStreamed ? stream(giving, head) : whole(giving, head);
}

async function whole(
  { model, asked, format, response, signal }: Giving,
  head: AnswerHead,
): Promise<Answered> {
  const parts: string[] = [];
  const answered = await model.answer(asked, {
    ...{ signal, onStart: () => undefined },
    onText: (part) => parts.push(part),
  });
  sendJson(response, format.whole(head, parts.join(''), answered));
  return answered;
}

async function stream(
  { model, asked, format, response, signal }: Giving,
  head: AnswerHead,
): Promise<Answered> {
  const events = new EventStream(response);
  const first = format.first(head);
  const listener: AnswerListener = {
    signal,
    onStart: () => {
      if (first) events.send(first);
    },
    onText: (part) => events.send(format.part(head, part)),
  };
  const answered = await model.answer(asked, listener);
  events.send(format.last(head, answered.finish));
  if (asked.includesUsage) events.send(format.usage(head, answered));
  events.done();
  return answered;
}
