import { createHash } from 'node:crypto';
import { invalidRequest } from '@emloc/rpc';

export interface PageRequest {
  /** 0: `standard`. */
  readonly pageSize: number;
  readonly pageToken: string;
  readonly standard: number;
  readonly most: number;
  /** What the list depends on besides: a token holds only for the same. */
  readonly query: string;
  readonly order: 'ascending' | 'descending';
}

/** Roughly what the items of a page may have together, so that a client takes its message. */
export const maxPageBytes = 2 ** 21;

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty: the last page. */
  readonly nextPageToken: string;
}

/**
 * A page of a list that is sorted by key. A token names the key that the page before ended with, so
 * that items which come and go meanwhile make none appear twice.
 * @param bytesOf what an item has: a page ends before it has too many
 * @throws RpcError INVALID_ARGUMENT
 */
export function pageOf<T>(
  sorted: readonly T[],
  keyOf: (item: T) => string,
  request: PageRequest,
  bytesOf: (item: T) => number = () => 0,
): Page<T> {
  if (request.pageSize < 0)
    throw invalidRequest([
      { field: 'page_size', description: `${request.pageSize} given, at least 0 is expected` },
    ]);
  const size = Math.min(request.pageSize === 0 ? request.standard : request.pageSize, request.most);
  const after = request.pageToken === '' ? null : keyIn(request.pageToken, request.query);
  const rest =
    after === null
      ? sorted
      : sorted.filter((item) =>
          request.order === 'ascending' ? keyOf(item) > after : keyOf(item) < after,
        );
  const items = firstOf(rest.slice(0, size), bytesOf);
  const last = items.at(-1);
  return {
    items,
    nextPageToken:
      rest.length > items.length && last !== undefined ? tokenOf(keyOf(last), request.query) : '',
  };
}

/** As many items as fit into a page, at least one. */
function firstOf<T>(items: readonly T[], bytesOf: (item: T) => number): readonly T[] {
  let bytes = 0;
  const end = items.findIndex((item, index) => {
    bytes += bytesOf(item);
    return index > 0 && bytes > maxPageBytes;
  });
  return end < 0 ? items : items.slice(0, end);
}

function tokenOf(key: string, query: string): string {
  return Buffer.from(JSON.stringify([key, fingerprint(query)])).toString('base64url');
}

function keyIn(token: string, query: string): string {
  const content = parse(token);
  if (
    !Array.isArray(content) ||
    content.length !== 2 ||
    typeof content[0] !== 'string' ||
    content[1] !== fingerprint(query)
  ) {
    throw invalidRequest([
      {
        field: 'page_token',
        description:
          'is no token of this list: every other field must be as it was for the page before',
      },
    ]);
  }
  return content[0];
}

function parse(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
}

function fingerprint(query: string): string {
  return createHash('sha256').update(query).digest('base64url').slice(0, 12);
}
