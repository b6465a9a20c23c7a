import { spawnSync } from 'node:child_process';
import { request } from 'node:https';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { programsIn, type ServiceName } from '@emloc/local-deployment';
import { type Spawned, spawnProgram } from '@emloc/stage-runtime/testing';

export const root = fileURLToPath(new URL('../../../..', import.meta.url));
export const dist = join(root, 'dist');

export function buildPrograms(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools/setup/build.mjs')], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build ended with ${status}: ${stderr}`);
}

export function startService(service: ServiceName, { args, env }: { readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> }): Spawned {
  return spawnProgram(programsIn(dist)(service), args, env);
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks for a page of probes or metrics over TLS. @throws when nothing answers */
export function getPage(port: number, path: string, { ca, token }: { readonly ca: Buffer; readonly token?: string }): Promise<HttpAnswer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, ca, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => { body += text; }).on('end', () => resolve({ status: response.statusCode ?? 0, body })).on('error', reject);
    });
    asked.once('error', reject).end();
  });
}
