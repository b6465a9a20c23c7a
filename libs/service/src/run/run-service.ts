import { timingSafeEqual } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJobStorage, type JobStorage } from '@emloc/job-storage';
import {
  closeNats,
  isTransient,
  type Lane,
  type NatsAccess,
  type NatsConnection,
} from '@emloc/nats';
import {
  assertListenAllowed,
  RpcError,
  RpcServer,
  serverCredentials,
  type RpcServerOptions,
} from '@emloc/rpc';
import {
  createTelemetry,
  observeCalls,
  startProbeServer,
  type Metrics,
  type ProbeServer,
  type Telemetry,
} from '@emloc/telemetry';
import { systemClock } from '@emloc/time';

import { isServiceError } from '../errors.js';
import { createLogger, type Logger } from '../log/logger.js';
import { type commonOptions, type CommonOptions } from '../options/common-options.js';
import {
  compileOptions,
  describeOptions,
  secretValues,
  type OptionSet,
  type OptionValues,
} from '../options/compile-options.js';
import { natsAccessOf } from '../options/nats-access.js';
import { tlsOf, type ServiceTls } from '../options/tls-files.js';
import { createShutdown, type Shutdown } from '../shutdown/shutdown.js';
import { connectPatiently, isRefusal, patiently } from './nats-connections.js';
import { watchParent } from './parent-watch.js';
import { programVersion } from './version.js';

/** What a service works with. */
export interface ServiceContext {
  readonly name: string;
  /** Unique among the replicas of a service. */
  readonly instance: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly nats: NatsConnection;
  readonly lane: Lane;
  readonly natsAccess: NatsAccess;
  readonly storage: JobStorage;
  /** Listens after `setup`. */
  readonly server: RpcServer;
  readonly shutdown: Shutdown;
  readonly tls: ServiceTls;
  /** A folder of this process's own, removed at its end. */
  readonly scratch: string;
}

/** What `setup` says of the calls that it accepts. */
export interface ServiceSetup {
  /** Whether callers of every service must say who they are. */
  readonly authenticated: boolean;
  /** Whether connections without a client certificate are refused. */
  readonly requireClientCertificate?: boolean;
}

export interface ServiceDefinition<S extends OptionSet> {
  readonly name: string;
  /** Holds `commonOptions`. */
  readonly options: S;
  /** Limits of the gRPC server; without, its defaults. */
  readonly serverLimits?: (options: OptionValues<S>) => Partial<RpcServerOptions>;
  /**
   * Adds services to the server and starts what runs in the background. Steps that it adds to the
   * shutdown run before the server closes.
   */
  setup(context: ServiceContext, options: OptionValues<S>): Promise<ServiceSetup>;
}

const envPrefix = 'EMLOC';
const natsPatienceMs = 60_000;
const readinessPollMs = 250;
/**
 * The thread that says that a layer is at work computes nothing, so that silence soon means that
 * the process is gone.
 */
const layerAckWaitMs = 10_000;

/**
 * Runs a service from its options to its end: the whole of a `main.ts`. Errors at the start are
 * said and end the process with 1, or with 2 where the options are to blame, so that trying again
 * is of no use.
 */
export async function runService<S extends OptionSet & typeof commonOptions>(
  definition: ServiceDefinition<S>,
): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--version')) {
    process.stdout.write(`${definition.name} ${programVersion}\n`);
    return;
  }
  if (args.includes('--help')) {
    process.stdout.write(
      `${definition.name}\n\n${describeOptions(definition.options, envPrefix)}\n`,
    );
    return;
  }
  const options = readOptions(definition, args);
  if (!options) return;
  const logger = createLogger({
    service: definition.name,
    level: options.logLevel,
    secrets: secretValues(definition.options, options),
  });
  let failureCode: number | null = null;
  const shutdown = createShutdown({
    graceMs: options.grace,
    exit: (code) => process.exit(failureCode ?? code),
    onStep: (name, error) =>
      error
        ? logger.error({ step: name, error }, 'shutdown step failed')
        : logger.debug({ step: name }, 'shutdown step done'),
  });
  shutdown.listen();
  watchParent({ env: process.env, end: (reason) => void shutdown.request(reason) });
  try {
    await start(definition, options, { logger, shutdown });
  } catch (error) {
    if (shutdown.signal.aborted) return;
    logger.error({ error }, 'the service could not start');
    failureCode = isUsageError(error) ? 2 : 1;
    await shutdown.request('it could not start');
  }
}

function isUsageError(error: unknown): boolean {
  return (
    isServiceError(error, 'OPTION_INVALID') ||
    isRefusal(error) ||
    (error instanceof RpcError && error.reason === 'LISTEN_REFUSED')
  );
}

function readOptions<S extends OptionSet & typeof commonOptions>(
  definition: ServiceDefinition<S>,
  args: readonly string[],
): (OptionValues<S> & CommonOptions) | null {
  try {
    return compileOptions(definition.options, {
      args,
      env: process.env,
      envPrefix,
    }) as OptionValues<S> & CommonOptions;
  } catch (error) {
    if (!isServiceError(error)) throw error;
    process.stderr.write(`${definition.name}: ${error.message}\n`);
    process.exitCode = 2;
    return null;
  }
}

async function start<S extends OptionSet>(
  definition: ServiceDefinition<S>,
  options: OptionValues<S> & CommonOptions,
  { logger, shutdown }: { logger: Logger; shutdown: Shutdown },
): Promise<void> {
  const { name } = definition;
  const instance = options.instance ?? `${hostname()}-${name}`;
  const tls = tlsOf(options);
  const scratch = await openScratch(options, name, shutdown);
  const telemetry = createTelemetry({ service: name, version: programVersion });
  telemetry.metrics.ready.set({}, 0);
  const natsAccess = natsAccessOf(options, instance);
  const connection: { lane: Lane | null } = { lane: null };
  const probes = await openProbes(options, {
    telemetry,
    shutdown,
    tls,
    isConnected: () => connection.lane?.connected === true,
  });
  const patience = { logger, signal: shutdown.signal, patienceMs: natsPatienceMs };
  const { nats, lane } = await connectPatiently(natsAccess, patience);
  shutdown.add('nats', async () => {
    lane.close();
    await closeNats(nats);
  });
  connection.lane = lane;
  const replicas = options.natsReplicas === 1 ? undefined : options.natsReplicas;
  const storage = await patiently(
    () => openJobStorage({ nats, lane, layerAckWaitMs, replicas }),
    (error) => !isTransient(error),
    patience,
  );
  const calls = observeCalls(telemetry.metrics);
  const server = new RpcServer({
    maxConnections: options.maxConnections,
    ...definition.serverLimits?.(options),
    observer: {
      callStarted: calls.callStarted,
      callFinished: (call) => {
        calls.callFinished(call);
        if (call.code === 'INTERNAL' || call.code === 'UNKNOWN')
          logger.error(
            { method: call.method, requestId: call.requestId, error: call.error },
            'call failed',
          );
        else
          logger.debug(
            {
              method: call.method,
              requestId: call.requestId,
              code: call.code,
              seconds: call.seconds,
            },
            'call',
          );
      },
    },
  });
  shutdown.add('gRPC server', async () => {
    await server.close(options.grace * 0.5);
  });
  const setup = await definition.setup(
    {
      name,
      instance,
      logger,
      metrics: telemetry.metrics,
      nats,
      lane,
      natsAccess,
      storage,
      server,
      shutdown,
      tls,
      scratch,
    },
    options,
  );
  assertListenAllowed(options.host, {
    authenticated: setup.authenticated,
    tls: tls.server !== null,
    allowPlaintext: options.allowPlaintext,
  });
  const credentials = serverCredentials(tls.server, {
    requireClientCertificate: setup.requireClientCertificate ?? false,
  });
  const { address } = await server.listen({ host: options.host, port: options.port, credentials });
  shutdown.ready();
  followReadiness({ server, shutdown, lane, metrics: telemetry.metrics });
  logger.info(
    { address, metricsPort: probes.port, instance, version: programVersion },
    'listening',
  );
}

async function openScratch(
  { scratchDir = tmpdir() }: CommonOptions,
  name: string,
  shutdown: Shutdown,
): Promise<string> {
  await mkdir(scratchDir, { recursive: true });
  const folder = await mkdtemp(join(scratchDir, `emloc-${name}-`));
  shutdown.add('scratch folder', () => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function openProbes(
  options: CommonOptions,
  {
    telemetry,
    shutdown,
    tls,
    isConnected,
  }: { telemetry: Telemetry; shutdown: Shutdown; tls: ServiceTls; isConnected: () => boolean },
): Promise<ProbeServer> {
  const { metricsPort, metricsToken, allowPlaintext } = options;
  const host = options.metricsHost ?? options.host;
  assertListenAllowed(host, {
    authenticated: metricsToken !== undefined,
    tls: tls.server !== null,
    allowPlaintext,
  });
  const probes = await startProbeServer({
    telemetry,
    host,
    port: metricsPort,
    tls: tls.server?.identity ?? null,
    readiness: () => {
      if (!shutdown.isReady)
        return { ready: false, reason: shutdown.signal.aborted ? 'shutting down' : 'starting' };
      return isConnected() ? { ready: true } : { ready: false, reason: 'no connection to NATS' };
    },
    mayReadMetrics: (authorization) =>
      metricsToken === undefined || isBearer(authorization, metricsToken),
  });
  shutdown.add('probes', async () => {
    await probes.close();
    telemetry.close();
  });
  return probes;
}

function isBearer(authorization: string | null, token: string): boolean {
  const [presented, expected] = [
    Buffer.from(authorization ?? '', 'utf8'),
    Buffer.from(`Bearer ${token}`, 'utf8'),
  ];
  return presented.length === expected.length && timingSafeEqual(presented, expected);
}

/** gRPC health and metrics say what `/readyz` says. */
function followReadiness({
  server,
  shutdown,
  lane,
  metrics,
}: Pick<ServiceContext, 'server' | 'shutdown' | 'lane' | 'metrics'>): void {
  const update = (): void => {
    const isReady = shutdown.isReady && lane.connected;
    server.health.setReady(isReady);
    metrics.ready.set({}, isReady ? 1 : 0);
  };
  update();
  systemClock.every(readinessPollMs, update, { holdsProcess: false });
}
