import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A deployment of `emloc serve` on one thread of the CPU, on a free port. */
export interface Serving {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/**
 * Starts one that sees the examples' models and a folder of data and adapters; its state goes to
 * `state` of `folder`.
 */
export async function startServing(folder: string, data: string): Promise<Serving> {
  const command = join(root, 'tools/cli/bin/emloc.cjs');
  const args = ['serve', '--port', '0', '--json', '--device', 'cpu', '--threads', '1'];
  const state = ['--state-dir', join(folder, 'state')];
  const roots = ['--model-root', join(root, 'examples'), '--model-root', data, '--data-root', data];
  const child = spawn(process.execPath, [command, ...args, ...state, ...roots], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const endpoint = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
      if (text.endsWith('\n')) resolve((JSON.parse(text) as { endpoint: string }).endpoint);
    });
    void closed.then(() => reject(new Error('emloc serve ended')));
  });
  return {
    endpoint,
    async stop() {
      child.kill('SIGTERM');
      await closed;
    },
  };
}
