/** What a nats-server of ours is started with; everything else is the server's default. */
export interface NatsServerConfig {
  /** Tells this server from others, in what it says of itself. */
  readonly serverName: string;
  readonly host: string;
  /** -1: one that is free. */
  readonly port: number;
  /** Folder of JetStream's files. */
  readonly storeDir: string;
  readonly maxPayloadBytes: number;
  /** Bytes that may wait for one slow subscriber before the server drops its connection. */
  readonly maxPendingBytes: number;
  /**
   * Limit of JetStream's files; the server's own (three quarters of the free disk) when left out.
   */
  readonly maxStoreBytes?: number | NatsVariable;
  readonly users?: readonly NatsServerUser[];
  readonly tls?: NatsServerTls;
  /**
   * Port of the monitoring page, on the same host, -1: one that is free; with `tls` it is
   * encrypted, and asks for no certificate.
   */
  readonly monitorPort?: number;
}

/**
 * A value that the server takes from its own environment. It reads it as it reads the file,
 * unquoted: a password has to begin with a letter, as digits begin a number.
 */
export interface NatsVariable {
  readonly variable: string;
}

/** For tensors in few pieces, and for subscribers that are slow for a moment. */
export const natsServerLimits = Object.freeze({
  maxPayloadBytes: 8 * 1024 * 1024,
  maxPendingBytes: 128 * 1024 * 1024,
});

export type NatsServerUser =
  | {
      readonly kind: 'password';
      readonly user: string;
      readonly password: string | NatsVariable;
      readonly permissions?: NatsPermissions;
    }
  | { readonly kind: 'nkey'; readonly publicKey: string; readonly permissions?: NatsPermissions };

/** Subjects, wildcards allowed. What is not named is denied. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  /** Exceptions of `publish`. */
  readonly denyPublish?: readonly string[];
  readonly subscribe: readonly string[];
}

interface NatsServerTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Given, clients must show a certificate that this authority signed. */
  readonly clientCaFile?: string;
}

/**
 * The text of the server's configuration file. Strings are quoted as JSON, which the server's
 * format reads.
 */
export function natsServerConfig(config: NatsServerConfig): string {
  const lines = [
    `server_name: ${quote(config.serverName)}`,
    `host: ${quote(config.host)}`,
    `port: ${config.port}`,
    `max_payload: ${config.maxPayloadBytes}`,
    `max_pending: ${config.maxPendingBytes}`,
    'max_control_line: 4096',
    ...(config.monitorPort === undefined
      ? []
      : [`${config.tls ? 'https' : 'http'}: ${quote(`${config.host}:${config.monitorPort}`)}`]),
    `jetstream { store_dir: ${quote(config.storeDir)}${config.maxStoreBytes === undefined ? '' : `, max_file_store: ${value(config.maxStoreBytes)}`} }`,
    ...(config.users
      ? [`authorization { users: [\n${config.users.map(userLine).join('\n')}\n] }`]
      : []),
    ...(config.tls ? [tlsBlock(config.tls)] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function userLine(user: NatsServerUser): string {
  const identity =
    user.kind === 'nkey'
      ? `nkey: ${quote(user.publicKey)}`
      : `user: ${quote(user.user)}, password: ${value(user.password)}`;
  return `  { ${identity}${user.permissions ? `, permissions: ${permissionsBlock(user.permissions)}` : ''} }`;
}

function permissionsBlock({ publish, denyPublish = [], subscribe }: NatsPermissions): string {
  return `{ publish: { allow: ${list(publish)}${denyPublish.length === 0 ? '' : `, deny: ${list(denyPublish)}`} }, subscribe: { allow: ${list(subscribe)} }, allow_responses: true }`;
}

function tlsBlock({ certFile, keyFile, clientCaFile }: NatsServerTls): string {
  const client =
    clientCaFile === undefined ? '' : `, ca_file: ${quote(clientCaFile)}, verify: true`;
  return `tls { cert_file: ${quote(certFile)}, key_file: ${quote(keyFile)}${client} }`;
}

/** Long ones take a line for each value. */
function list(values: readonly string[]): string {
  const [inline, lines] = [
    `[${values.map(quote).join(', ')}]`,
    values.map((one) => `    ${quote(one)}`),
  ];
  return inline.length <= 120 ? inline : `[\n${lines.join('\n')}\n  ]`;
}

function value(given: string | number | NatsVariable): string {
  return typeof given === 'object' ? `$${given.variable}` : JSON.stringify(given);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
