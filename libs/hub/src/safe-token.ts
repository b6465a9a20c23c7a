import type { HubSettings } from './settings.js';

/** The token, unless it would cross a network in the clear. */
export function safeToken(
  { endpoint, token }: Pick<HubSettings, 'endpoint' | 'token'>,
  onNotice: (message: string) => void,
): string | null {
  const { protocol, hostname } = new URL(endpoint);
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (token === null || protocol === 'https:' || isLoopback) return token;
  onNotice(`the token is not sent to ${endpoint}, which is not encrypted`);
  return null;
}
