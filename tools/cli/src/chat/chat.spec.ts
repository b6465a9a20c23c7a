import { PassThrough } from 'node:stream';
import { PipelineError, type TextGenerator } from '@emloc/pipeline';
import { until } from '@emloc/time/testing';

import { chat, type ChatHost, type ChatTurn } from './chat.js';

interface Message {
  readonly role: string;
  readonly content: string;
}

type Answer = Parameters<TextGenerator['answer']>;

/** A model that answers with the number of its question; a token of it is a character. */
class Parrot {
  readonly contextTokens: number = 60;
  readonly asked: (readonly Message[])[] = [];
  readonly seeds: number[] = [];
  reply = (question: string): string => `${question}!`;
  /** Awaited after the first half of an answer. */
  gate: (signal?: AbortSignal) => Promise<void> = () => Promise.resolve();

  encodeConversation({ messages }: { readonly messages: readonly unknown[] }): Promise<object> {
    const all = messages as readonly Message[];
    const length = all.reduce((sum, { content }) => sum + content.length, 0);
    return Promise.resolve({ ids: { length }, images: [], all });
  }

  async answer(...[prompt, settings, { onText, signal }]: Answer): Promise<object> {
    const { all, ids } = prompt as unknown as { all: readonly Message[]; ids: { length: number } };
    if (ids.length >= this.contextTokens)
      throw new PipelineError('PIPELINE_CONTEXT_EXCEEDED', `${ids.length} tokens`);
    this.asked.push(all);
    this.seeds.push(settings.sampling.seed);
    const text = this.reply(all.at(-1)?.content ?? '');
    onText(text.slice(0, 2));
    await this.gate(signal);
    signal?.throwIfAborted();
    onText(text.slice(2));
    return { text, promptTokens: ids.length, tokens: text.length, finish: 'stop', seconds: 0 };
  }
}

interface Talk {
  readonly input: PassThrough;
  readonly notes: string[];
  readonly turns: Promise<readonly ChatTurn[]>;
  shown(): string;
}

function talk(parrot: Parrot, given: Partial<ChatHost> & { system?: string } = {}): Talk {
  const { system = null, ...host } = given;
  const [input, output] = [new PassThrough(), new PassThrough()];
  const notes: string[] = [];
  let [shown, seed] = ['', 0];
  output.on('data', (part: Buffer) => (shown += part.toString()));
  const turns = chat(
    parrot as unknown as TextGenerator,
    { system, maxNewTokens: 10, temperature: 1, topP: 1, nextSeed: () => (seed += 1) },
    {
      ...{ input, output, isTerminal: false, isShown: true, note: (text) => notes.push(text) },
      ...{ signal: new AbortController().signal, ...host },
    },
  );
  return { input, notes, turns, shown: () => shown };
}

const contents = (messages: readonly Message[] = []): string[] =>
  messages.map(({ role, content }) => `${role}: ${content}`);

describe('a chat over a pipe', () => {
  it('answers line by line, each with what was said before, and no sign of a terminal', async () => {
    const parrot = new Parrot();
    const { input, turns, shown, notes } = talk(parrot, { system: 'sys' });
    input.end('one\r\ntwo\n\n/reset\nthree');
    expect(await turns).toEqual([]);
    expect(shown()).toBe('one!\ntwo!\nthree!\n');
    expect(parrot.asked.map(contents)).toEqual([
      ['system: sys', 'user: one'],
      ['system: sys', 'user: one', 'assistant: one!', 'user: two'],
      ['system: sys', 'user: three'],
    ]);
    expect(parrot.seeds).toEqual([1, 2, 3]);
    expect(notes).toEqual(['the conversation is forgotten']);
  });

  it('shows what a terminal would obey, and remembers it as it was', async () => {
    const parrot = new Parrot();
    const answer = '\u001b[31mred\u202e';
    parrot.reply = () => answer;
    const { input, turns, shown } = talk(parrot);
    input.end('a\nb\n');
    await turns;
    expect(shown()).toBe('\\u001b[31mred\\u202e\n'.repeat(2));
    expect(contents(parrot.asked[1])).toContain(`assistant: ${answer}`);
  });

  it('gives turns instead of showing them', async () => {
    const { input, turns, shown } = talk(new Parrot(), { isShown: false });
    input.end('one\n/exit\ntwo\n');
    expect(await turns).toMatchObject([{ prompt: 'one', text: 'one!', finish: 'stop' }]);
    expect(shown()).toBe('');
  });

  it('forgets the oldest questions where there is no room for an answer, and says so', async () => {
    const parrot = new Parrot();
    const { input, turns, notes } = talk(parrot, { system: 'sys' });
    input.end(`${'a'.repeat(18)}\n${'b'.repeat(18)}\n${'c'.repeat(18)}\n`);
    await turns;
    expect(contents(parrot.asked[2])).toEqual(['system: sys', `user: ${'c'.repeat(18)}`]);
    expect(contents(parrot.asked[1])).toEqual(['system: sys', `user: ${'b'.repeat(18)}`]);
    expect(notes).toEqual(
      new Array(2).fill(
        'the oldest question is forgotten, with what was answered: the context has 60 tokens',
      ),
    );
  });

  it('ends at a question that cannot be answered', async () => {
    const { input, turns } = talk(new Parrot());
    input.end(`${'a'.repeat(60)}\nb\n`);
    await expect(turns).rejects.toMatchObject({ code: 'PIPELINE_CONTEXT_EXCEEDED' });
  });

  it('ends at a signal', async () => {
    const abort = new AbortController();
    const { turns } = talk(new Parrot(), { signal: abort.signal });
    abort.abort(new Error('stopped'));
    await expect(turns).rejects.toThrow('stopped');
  });
});

describe('a chat on a terminal', () => {
  const ctrlC = '\u0003';
  /** Waits until it is interrupted. */
  const waiting = (signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));

  it('goes on after Ctrl-C with what there is of the answer, and ends at the next', async () => {
    const parrot = new Parrot();
    parrot.gate = waiting;
    const { input, turns, notes, shown } = talk(parrot, { isTerminal: true });
    input.write('one\r');
    await until(() => parrot.asked.length === 1, 'the first question');
    input.write(ctrlC);
    await until(() => notes.includes('interrupted'), 'the interruption');
    parrot.gate = () => Promise.resolve();
    input.write('two\r');
    await until(() => shown().includes('two!'), 'the second answer');
    expect(contents(parrot.asked[1])).toEqual(['user: one', 'assistant: on', 'user: two']);
    input.write(ctrlC);
    await turns;
  });

  it('goes on after a question that cannot be answered, and tells of words that are no commands', async () => {
    const parrot = new Parrot();
    const { input, turns, notes, shown } = talk(parrot, { isTerminal: true });
    input.write(`${'a'.repeat(60)}\r`);
    await until(() => notes.length === 1, 'the refusal');
    expect(notes[0]).toMatch(/^error: PIPELINE_CONTEXT_EXCEEDED: /);
    input.write('/rest\r');
    input.write('/help\r');
    await until(() => notes.length === 3, 'the help');
    expect(notes[1]).toBe('/rest is no command; /help shows them');
    input.write('b\r');
    await until(() => shown().includes('b!'), 'the answer');
    expect(contents(parrot.asked[0])).toEqual(['user: b']);
    input.write('\u0004');
    await turns;
  });
});
