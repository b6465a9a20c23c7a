import { Buffer, isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { at } from '@emloc/checked';
import { JsonTextError, parseJsonText } from '@emloc/untrusted';

import { RequestRefusal } from '../errors.js';

/** Room for a picture or two as data URLs. */
const maxBytes = 32 * 2 ** 20;
/** Of what a conversation is made of. */
const jsonLimits = { maxDepth: 64, maxValues: 200_000 };

/**
 * The JSON that a request brings.
 * @throws RequestRefusal where it is too large, no JSON, or not said to be: a page of a browser may
 * send other types without asking first
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = at((request.headers['content-type'] ?? '').split(';'), 0);
  if (type.trim().toLowerCase() !== 'application/json')
    throw unsupportedBody('content-type: application/json is expected');
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw unsupportedBody('content-encoding: the body must not be compressed');
  const bytes = await readBytes(request);
  if (!isUtf8(bytes)) throw new RequestRefusal('the body is no text in UTF-8');
  try {
    return parseJsonText(bytes.toString('utf8'), jsonLimits);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new RequestRefusal(`the body is not valid JSON: ${error.reason}`);
  }
}

function unsupportedBody(message: string): RequestRefusal {
  return new RequestRefusal(message, { status: 415, closes: true });
}

function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const refuse = (): void => {
      request.pause();
      reject(
        new RequestRefusal(`the body has more than ${maxBytes} bytes`, {
          ...{ status: 413, closes: true },
        }),
      );
    };
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) return refuse();
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > maxBytes) return refuse();
      parts.push(part);
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}
