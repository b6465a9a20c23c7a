import type { OptionSet, OptionValues } from './compile-options.js';
import {
  booleanOption,
  choiceOption,
  durationOption,
  integerOption,
  listOption,
  stringOption,
} from './option-types.js';

const file = (description: string) =>
  stringOption<string | undefined>({ description, placeholder: 'FILE', default: undefined });
const secret = (description: string) =>
  stringOption<string | undefined>({ description, secret: true, default: undefined });

/** Options of every service. Environment variables have the prefix `EMLOC_`. */
export const commonOptions = {
  host: stringOption({
    description: 'address to listen on; others than loopback need authentication and TLS',
    placeholder: 'HOST',
    default: '127.0.0.1',
  }),
  port: integerOption({
    description: 'gRPC port; 0: one that is free',
    placeholder: 'PORT',
    default: 0,
    min: 0,
    max: 65_535,
  }),
  metricsPort: integerOption({
    description: 'port of /metrics, /livez and /readyz; 0: one that is free',
    placeholder: 'PORT',
    default: 0,
    min: 0,
    max: 65_535,
  }),
  metricsHost: stringOption<string | undefined>({
    description: 'address of /metrics, /livez and /readyz (default: as for gRPC)',
    placeholder: 'HOST',
    default: undefined,
  }),
  metricsToken: secret('bearer token for /metrics; without it, everyone on loopback may read them'),
  natsUrl: listOption({
    description: 'NATS servers',
    placeholder: 'URL,URL',
    default: ['nats://127.0.0.1:4222'],
  }),
  natsUser: stringOption<string | undefined>({
    description: 'user at NATS',
    placeholder: 'NAME',
    default: undefined,
  }),
  natsPassword: secret('its password'),
  natsToken: secret('token at NATS, in place of user and password'),
  natsCreds: file('credentials file (JWT and seed), in place of user and password'),
  natsInboxPrefix: stringOption<string | undefined>({
    description: 'begins the subjects of answers at NATS (default: _INBOX)',
    placeholder: 'SUBJECT',
    default: undefined,
    pattern: /^\w+(\.\w+){0,9}$/,
  }),
  natsCa: file('authorities of the NATS servers, PEM; the connection is encrypted'),
  natsCert: file('client certificate for NATS, PEM'),
  natsKey: file('its key, PEM'),
  natsReplicas: integerOption({
    description: 'copies of everything stored, in a NATS cluster',
    default: 1,
    min: 1,
    max: 5,
  }),
  tlsCert: file('certificate chain of this service, PEM, for gRPC and metrics'),
  tlsKey: file('its key, PEM'),
  tlsCa: file('authorities of the other services and of client certificates, PEM'),
  allowPlaintext: booleanOption({
    description: 'listen without TLS on other addresses than loopback: something in front encrypts',
    default: false,
  }),
  maxConnections: integerOption({
    description: 'open gRPC connections; one more closes the oldest of who holds the most',
    default: 1000,
    min: 1,
    max: 1_000_000,
  }),
  instance: stringOption<string | undefined>({
    description: 'name of this process, unique among its replicas (default: host name and service)',
    placeholder: 'NAME',
    pattern: /^[\w.-]{1,100}$/,
    default: undefined,
  }),
  scratchDir: stringOption<string | undefined>({
    description: "folder for temporary files (default: the system's)",
    placeholder: 'DIR',
    default: undefined,
  }),
  grace: durationOption({
    description: 'time to finish or save work at SIGTERM',
    default: 30_000,
    min: 100,
  }),
  logLevel: choiceOption({
    description: 'least level that is logged',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
  }),
} satisfies OptionSet;

export type CommonOptions = OptionValues<typeof commonOptions>;
