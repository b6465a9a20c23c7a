import {
  clientCredentials,
  defaultRetryPolicy,
  isLoopback,
  RpcChannel,
  type RetryPolicy,
  type TlsOptions,
} from '@emloc/rpc';

import { EmlocError } from './errors.js';

/** PEM texts. */
export interface ClientTls {
  /** Authorities that the server's certificate must come from; default: the system's. */
  readonly ca?: string | Uint8Array;
  /** The client's own certificate chain and its key, where the server asks for one. */
  readonly certificate?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** Name that the server's certificate must have, where it is not the address's. */
  readonly serverName?: string;
}

/** How to reach a deployment. */
export interface ConnectOptions {
  /** `host:port` */
  readonly address: string;
  /** Bearer token of a tenant. Sent in the clear only to this machine, or with `allowPlaintext`. */
  readonly token?: string | null;
  /** true: TLS with the system's authorities. Default: none. */
  readonly tls?: boolean | ClientTls;
  readonly allowPlaintext?: boolean;
  /** Deadline of a call that is no stream, its repetitions included. */
  readonly timeoutMs?: number;
  /** Deadline of what has a plan computed: `planJob`, and `createJob` with a method. */
  readonly planTimeoutMs?: number;
  /**
   * How long a watch or a transfer waits for a server that is away before it gives up; Infinity:
   * for ever.
   */
  readonly patienceMs?: number;
  /** Repetitions after errors that may go away. */
  readonly retry?: Partial<RetryPolicy>;
}

/** Limits with the defaults filled in. */
export interface Limits {
  readonly timeoutMs: number;
  readonly planTimeoutMs: number;
  readonly patienceMs: number;
  readonly retry: RetryPolicy;
}

export const defaultLimits: Limits = Object.freeze({
  timeoutMs: 30_000,
  planTimeoutMs: 300_000,
  patienceMs: 600_000,
  retry: defaultRetryPolicy,
});

/** @throws EmlocError SDK_OPTION_INVALID */
export function limitsOf({ timeoutMs, planTimeoutMs, patienceMs, retry }: ConnectOptions): Limits {
  const limits: Limits = {
    timeoutMs: timeoutMs ?? defaultLimits.timeoutMs,
    planTimeoutMs: planTimeoutMs ?? defaultLimits.planTimeoutMs,
    patienceMs: patienceMs ?? defaultLimits.patienceMs,
    retry: { ...defaultLimits.retry, ...retry },
  };
  const { attempts, initialDelayMs, maxDelayMs, factor } = limits.retry;
  const positive = {
    timeoutMs: limits.timeoutMs,
    planTimeoutMs: limits.planTimeoutMs,
    patienceMs: limits.patienceMs,
    initialDelayMs,
    maxDelayMs,
  };
  for (const [name, value] of Object.entries(positive))
    if (!(value > 0)) throw invalid(`${name}: ${value} given, above 0 expected`);
  if (!(Number.isSafeInteger(attempts) && attempts >= 1))
    throw invalid(`retry.attempts: ${attempts} given, a whole number of at least 1 expected`);
  if (!(factor >= 1)) throw invalid(`retry.factor: ${factor} given, at least 1 expected`);
  return limits;
}

/**
 * @throws EmlocError SDK_OPTION_INVALID, also for a token that would cross a network in the clear
 */
export function openChannel(
  { address, token = null, tls = false, allowPlaintext = false }: ConnectOptions,
  { timeoutMs, retry }: Limits,
): RpcChannel {
  const host = hostOf(address);
  if (token !== null && !/^[\x21-\x7e]+$/.test(token))
    throw invalid('token: empty, or with characters that no header can hold');
  if (token !== null && tls === false && !allowPlaintext && !isLoopback(host)) {
    throw invalid(`a token is sent to ${host} with TLS only, unless allowPlaintext is set`);
  }
  const serverName = typeof tls === 'object' ? tls.serverName : undefined;
  return new RpcChannel({
    address,
    token,
    credentials: credentialsOf(tls),
    unaryTimeoutMs: timeoutMs,
    retry,
    serverName,
  });
}

function hostOf(address: string): string {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/\s]+)):\d{1,5}$/i.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined)
    throw invalid(`address: ${JSON.stringify(address)} given, host:port expected`);
  return host;
}

function credentialsOf(tls: boolean | ClientTls): ReturnType<typeof clientCredentials> {
  if (tls === false) return clientCredentials(null);
  const { ca, certificate, key } = tls === true ? ({} as ClientTls) : tls;
  if ((certificate === undefined) !== (key === undefined))
    throw invalid('tls: a certificate and its key go together');
  const options: TlsOptions = {
    ca: ca === undefined ? null : Buffer.from(ca),
    identity:
      certificate === undefined || key === undefined
        ? null
        : { certificate: Buffer.from(certificate), key: Buffer.from(key) },
  };
  try {
    return clientCredentials(options);
  } catch (cause) {
    throw new EmlocError('SDK_OPTION_INVALID', (cause as Error).message, { cause });
  }
}

function invalid(what: string): EmlocError {
  return new EmlocError('SDK_OPTION_INVALID', what);
}
