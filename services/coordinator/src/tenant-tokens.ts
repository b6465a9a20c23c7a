import { bearerTokens, type Authenticator, type TenantToken } from '@emloc/rpc';
import { ServiceError } from '@emloc/service';

import { followFile, parseOptionJson, type FollowOptions } from './follow-file.js';
import { parseTime } from './rfc3339.js';

/** Whose jobs they are where nobody has to say who calls. */
const localTenant = 'local';

/** Everyone is the one tenant of this machine. */
export const everyoneIsLocal: Authenticator = () => ({ kind: 'tenant', tenant: localTenant });

/**
 * Tokens of tenants from a file, JSON or one JSON object a line: `{"tenant": "a", "sha256": "…",
 * "expiresAt": "2027-01-01T00:00:00Z"}`. A changed file holds from a second later; one that cannot
 * be read is logged and the tokens before it stay.
 * @throws ServiceError OPTION_INVALID for a file that cannot be read at the start
 */
export async function tenantTokens(path: string, options: FollowOptions): Promise<Authenticator> {
  const authenticate = await followFile(
    { path, option: 'tokens-file', parse: (text) => bearerTokens(parseTokens(text, path)) },
    options,
  );
  return (identity) => authenticate()(identity);
}

const parseJson = (text: string, place: string): unknown =>
  parseOptionJson('tokens-file', text, place);

/** @throws ServiceError OPTION_INVALID naming the file and the entry, never a hash */
function parseTokens(text: string, path: string): readonly TenantToken[] {
  const entries = text.trimStart().startsWith('[')
    ? (parseJson(text, `${path}: the list`) as unknown[])
    : linesOf(text, path);
  return entries.map((entry, index) => toToken(entry, `${path}: token ${index + 1}`));
}

function linesOf(text: string, path: string): unknown[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      line.trim() === '' ? [] : [parseJson(line, `${path}: line ${index + 1}`)],
    );
}

function toToken(entry: unknown, place: string): TenantToken {
  const { tenant, sha256, expiresAt = null } = (entry ?? {}) as Record<string, unknown>;
  const invalid = (problem: string): ServiceError =>
    new ServiceError('OPTION_INVALID', `options: tokens-file: ${place}: ${problem}`);
  if (typeof tenant !== 'string' || tenant === '' || tenant.length > 100)
    throw invalid('tenant must be a text of 1 to 100 characters');
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw invalid('sha256 must be 64 lower-case hexadecimal digits');
  const expiresAtMs = expiresAt === null ? null : parseTime(expiresAt);
  if (Number.isNaN(expiresAtMs)) throw invalid('expiresAt must be an RFC 3339 time or null');
  return { tenant, sha256, expiresAtMs };
}
