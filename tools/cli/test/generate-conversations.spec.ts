import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '@emloc/time/testing';
import OpenAI from 'openai';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const model = join(root, 'examples/models/tiny-qwen2');
const command = join(root, 'tools/cli/bin/emloc.cjs');

/** The command as it runs. */
interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number | null>;
  stdout(): string;
  stderr(): string;
}

let folder: string;
const running: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-conversations-'));
});

afterAll(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.map(({ ended }) => ended));
  await rm(folder, { recursive: true, force: true });
});

function start(...args: readonly string[]): Running {
  const device = ['--device', 'cpu', '--threads', '1', '--date', '2026-01-31'];
  const child = spawn(process.execPath, [
    ...[command, 'generate', '--model', model, ...device, '--max-new-tokens', '8', ...args],
  ]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part: Buffer) => (stdout += part.toString()));
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const started = { child, ended, stdout: () => stdout, stderr: () => stderr };
  running.push(started);
  return started;
}

/** What is typed, and all that comes of it. */
async function typed(
  text: string,
  ...args: readonly string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { child, ended, stdout, stderr } = start(...args);
  child.stdin.end(text);
  return { code: await ended, stdout: stdout(), stderr: stderr() };
}

interface Document {
  readonly url: string;
  readonly model: string;
}

/** A server, when it listens. */
async function serve(...args: readonly string[]): Promise<Running & { document: Document }> {
  const server = start('--serve', '--port', '0', '--json', ...args);
  void server.ended.then((code) => code);
  await until(() => server.stdout().endsWith('\n') || server.child.exitCode !== null, 'the server');
  return { ...server, document: JSON.parse(server.stdout()) as Document };
}

const user = (content: string): { role: 'user'; content: string } => ({ role: 'user', content });

describe('emloc generate --serve', () => {
  it("answers OpenAI's client, whole and streamed, as --chat does, and ends in order", async () => {
    const { code, stdout } = await typed('Who?\nAnd then?\n', '--chat', '--json');
    const { turns } = JSON.parse(stdout) as { turns: { text: string; promptTokens: number }[] };
    expect([code, turns.length]).toEqual([0, 2]);

    const server = await serve();
    const { url: baseURL, model: name } = server.document;
    expect(name).toBe('tiny-qwen2');
    const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([name]);

    const whole = await client.chat.completions.create({ model: name, messages: [user('Who?')] });
    expect(whole.choices[0]?.message).toMatchObject({ role: 'assistant', content: turns[0]?.text });
    expect(whole.choices[0]?.finish_reason).toBe('length');
    expect(whole.usage).toMatchObject({
      ...{ completion_tokens: 8, prompt_tokens: turns[0]?.promptTokens },
    });

    const answer = { role: 'assistant' as const, content: turns[0]?.text ?? '' };
    const stream = client.chat.completions.stream({
      ...{ model: name, messages: [user('Who?'), answer, user('And then?')] },
      stream_options: { include_usage: true },
    });
    let parts = 0;
    stream.on('content', () => (parts += 1));
    const streamed = await stream.finalChatCompletion();
    expect(streamed.choices[0]?.message.content).toBe(turns[1]?.text);
    expect(streamed.usage?.prompt_tokens).toBe(turns[1]?.promptTokens);
    expect(parts).toBeGreaterThan(1);

    const asked = { model: name, prompt: 'Once upon', temperature: 1 };
    const drawn = async (seed: number): Promise<string | undefined> =>
      (await client.completions.create({ ...asked, seed })).choices[0]?.text;
    expect(await drawn(5)).toBe(await drawn(5));
    expect(await drawn(5)).not.toBe(await drawn(6));

    const long = [user('word '.repeat(2000))];
    await expect(
      client.chat.completions.create({ model: name, messages: long }),
    ).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
    await expect(
      client.chat.completions.create({
        ...{ model: name, messages: [{ ...user('a'), role: 'boss' as 'user' }] },
      }),
    ).rejects.toMatchObject({ status: 400, param: 'messages[0].role' });

    const { port } = new URL(baseURL);
    const refused = await typed('', '--serve', '--port', port);
    expect(refused).toMatchObject({
      ...{ code: 1, stdout: '' },
      stderr: expect.stringContaining(
        'error: CHAT_SERVER_LISTEN_FAILED: cannot listen on 127.0.0.1',
      ),
    });

    server.child.kill('SIGINT');
    expect(await server.ended).toBe(0);
    expect(server.stderr()).toMatch(/^POST \/v1\/chat\/completions: 200, \d+ \+ 8 tokens/m);
    expect(server.stderr()).not.toMatch(/Who|word/);
  });

  it('ends an answer that nobody takes, and wants the key that it was given', async () => {
    const keyFile = join(folder, 'key');
    await writeFile(keyFile, 'a-key\n');
    const server = await serve('--api-key-file', keyFile, '--max-new-tokens', '900');
    const { url: baseURL, model: name } = server.document;
    const ask = (apiKey: string): OpenAI => new OpenAI({ baseURL, apiKey, maxRetries: 0 });
    await expect(ask('another').models.list()).rejects.toMatchObject({ status: 401 });
    const messages = [user('Tell me everything.')];
    const stream = await ask('a-key').chat.completions.create({
      ...{ model: name, messages, stream: true },
    });
    for await (const _part of stream) break;
    const next = await ask('a-key').chat.completions.create({
      ...{ model: name, messages, max_completion_tokens: 2 },
    });
    expect(next.usage?.completion_tokens).toBe(2);
    expect(server.stderr()).toMatch(/: the client went away, /);
    const cut = await ask('a-key').chat.completions.create({
      ...{ model: name, messages, stream: true },
    });
    const reading = expect(
      (async () => {
        for await (const part of cut) if (part.choices[0]?.delta.content) server.child.kill();
      })(),
    ).rejects.toThrow();
    expect(await server.ended).toBe(0);
    await reading;
    expect(server.stderr()).not.toContain('error');
  });
});

describe('emloc generate --chat', () => {
  it('answers what is piped in, a line a turn, as plain text', async () => {
    const { code, stdout, stderr } = await typed('Who?\n/reset\nWho?\n/exit\nWhat?\n', '--chat');
    expect({ code, stderr: stderr.replace(/the answer had all .*\n/g, '') }).toEqual({
      ...{ code: 0, stderr: 'the conversation is forgotten\n' },
    });
    const half = stdout.length / 2;
    expect(stdout.slice(0, half)).toBe(stdout.slice(half));
    expect(stdout.length).toBeGreaterThan(4);
    expect(stdout).not.toContain('\u001b');
  });

  it('ends with the code of a signal', async () => {
    const { child, ended, stdout } = start('--chat', '--max-new-tokens', '900');
    child.stdin.write('Who?\n');
    await until(() => stdout().length > 0, 'an answer');
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
  });
});
