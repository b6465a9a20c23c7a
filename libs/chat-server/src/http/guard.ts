import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

import { RequestRefusal } from '../errors.js';

/** Lets a request pass, or not. @throws RequestRefusal */
export type Guard = (request: Pick<IncomingMessage, 'headers'>) => void;

/** Whether an address or a name is of this machine alone. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (isIPv4(name)) return name.startsWith('127.');
  if (isIPv6(name)) return /^(?:0*:)*:?0*1$/.test(name);
  return name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Without a key, only who calls this machine by one of its own names: a page of a browser whose
 * name was made to lead here (DNS rebinding) calls it by another.
 */
export const ownNamesOnly: Guard = ({ headers }) => {
  const { host = '' } = headers;
  const name = /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:]*))(?::\d*)?$/.exec(host)?.groups;
  if (name && isLoopback(name['v6'] ?? name['name'] ?? '')) return;
  throw new RequestRefusal(
    'host: this server is called localhost, or by an address of loopback; with another name it needs --api-key-file',
    { status: 403, code: 'host_not_allowed', closes: true },
  );
};

/** Only who shows the key as a bearer token. */
export function keyHoldersOnly(apiKey: string): Guard {
  const expected = digest(apiKey);
  return ({ headers }) => {
    const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    // Of digests, so that neither length nor beginning can be told from the time.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    throw new RequestRefusal('authorization: a bearer token that is known here is expected', {
      ...{ status: 401, code: 'invalid_api_key', closes: true },
      headers: { 'www-authenticate': 'Bearer' },
    });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
