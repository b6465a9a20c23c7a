import { buildAuthenticator } from '@nats-io/transport-node';

import { toConnectionOptions, type NatsAccess } from './access.js';

export const crlf = Buffer.from('\r\n');

/** The greeting, with what the server's nonce asks for. */
export function connectLine(access: NatsAccess, nonce: string | undefined): string {
  const auth = buildAuthenticator(toConnectionOptions(access))(nonce) ?? {};
  const hello = {
    verbose: false,
    pedantic: false,
    tls_required: Boolean(access.tls),
    lang: 'emloc',
    version: '0.1.0',
    protocol: 1,
    headers: true,
    no_responders: true,
    echo: true,
    name: access.name,
    ...auth,
  };
  return `CONNECT ${JSON.stringify(hello)}\r\n`;
}

/** What comes before a message's headers and payload. */
export function publishLine(
  subject: string,
  reply: string | undefined,
  { headerBlock, payloadBytes }: { headerBlock: Buffer | undefined; payloadBytes: number },
): string {
  const target = reply ? `${subject} ${reply}` : subject;
  return headerBlock
    ? `HPUB ${target} ${headerBlock.length} ${headerBlock.length + payloadBytes}\r\n`
    : `PUB ${target} ${payloadBytes}\r\n`;
}

export function subscribeLine(id: number, subject: string): string {
  return `SUB ${subject} ${id}\r\n`;
}

export function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`NATS/1.0\r\n${lines.join('')}\r\n`, 'utf8');
}

export function serverAddress(server: string): { host: string; port: number } {
  const url = new URL(server.includes('://') ? server : `nats://${server}`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 4222 : Number(url.port),
  };
}
