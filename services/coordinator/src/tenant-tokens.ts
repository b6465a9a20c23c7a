import { readFile, stat } from 'node:fs/promises';
import { bearerTokens, type Authenticator, type TenantToken } from '@emloc/rpc';
import { ServiceKitError, type Logger } from '@emloc/service-kit';

/** Whose jobs they are where nobody has to say who calls. */
const localTenant = 'local';

const checkMs = 1000;

/** Everyone is the one tenant of this machine. */
export const everyoneIsLocal: Authenticator = () => ({ kind: 'tenant', tenant: localTenant });

/**
 * Tokens of tenants from a file, JSON or one JSON object a line: `{"tenant": "a", "sha256": "…",
 * "expiresAt": "2027-01-01T00:00:00Z"}`. A changed file holds from a second later; one that cannot
 * be read is logged and the tokens before it stay.
 * @throws ServiceKitError OPTION_INVALID for a file that cannot be read at the start
 */
export async function tenantTokens(
  path: string,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Authenticator> {
  let authenticate = bearerTokens(await readTokens(path));
  let known = await versionOf(path);
  const refresh = async (): Promise<void> => {
    const version = await versionOf(path);
    if (version === known) return;
    known = version;
    authenticate = bearerTokens(await readTokens(path));
    logger.info({ path }, 'tokens of tenants read again');
  };
  const timer = setInterval(
    () =>
      void refresh().catch((error: unknown) =>
        logger.error({ path, error }, 'tokens of tenants cannot be read: those before stay'),
      ),
    checkMs,
  );
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  return (identity) => authenticate(identity);
}

/** @throws ServiceKitError OPTION_INVALID naming the file and the entry, never a hash */
function parseTokens(text: string, path: string): readonly TenantToken[] {
  const entries = text.trimStart().startsWith('[')
    ? (parseJson(text, path, 'the list') as unknown[])
    : linesOf(text, path);
  return entries.map((entry, index) => toToken(entry, `${path}: token ${index + 1}`));
}

async function readTokens(path: string): Promise<readonly TenantToken[]> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new ServiceKitError('OPTION_INVALID', `options: tokens-file: ${cause.message}`, {
      cause,
    });
  });
  return parseTokens(text, path);
}

function linesOf(text: string, path: string): unknown[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      line.trim() === '' ? [] : [parseJson(line, path, `line ${index + 1}`)],
    );
}

/** The parser's message would show a part of the text. */
function parseJson(text: string, path: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServiceKitError(
      'OPTION_INVALID',
      `options: tokens-file: ${path}: ${place} is no JSON`,
    );
  }
}

function toToken(entry: unknown, place: string): TenantToken {
  const { tenant, sha256, expiresAt = null } = (entry ?? {}) as Record<string, unknown>;
  const invalid = (problem: string): ServiceKitError =>
    new ServiceKitError('OPTION_INVALID', `options: tokens-file: ${place}: ${problem}`);
  if (typeof tenant !== 'string' || tenant === '' || tenant.length > 100)
    throw invalid('tenant must be a text of 1 to 100 characters');
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw invalid('sha256 must be 64 lower-case hexadecimal digits');
  const expiresAtMs =
    expiresAt === null ? null : typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
  if (Number.isNaN(expiresAtMs)) throw invalid('expiresAt must be an RFC 3339 time or null');
  return { tenant, sha256, expiresAtMs };
}

async function versionOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : '';
}
