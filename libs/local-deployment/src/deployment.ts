import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';
import { findNatsServer, randomSecret, type NatsAccess } from '@emloc/nats';

import { LocalDeploymentError } from './errors.js';
import {
  instanceName,
  planServices,
  serviceEnvironment,
  stageAddressFlags,
  type Replicas,
  type ServiceName,
  type ServicePlan,
} from './layout.js';
import { endWhenStoreHangs } from './processes/jetstream-watch.js';
import { startNatsProcess } from './processes/nats-process.js';
import { startServiceProcess } from './processes/service-process.js';
import { takeStateFolder, type StateFolder } from './state-folder.js';
import type { SupervisionPolicy } from './supervision/machine.js';
import {
  createSupervisor,
  StartFailure,
  type Component,
  type Supervisor,
  type SupervisorObserver,
} from './supervision/supervisor.js';

export interface LocalDeploymentOptions {
  /** JavaScript file of a service. */
  readonly program: (service: ServiceName) => string;
  /** Taken by this deployment alone; jobs of earlier ones are in it. */
  readonly stateDir: string;
  /**
   * The URLs of a running NATS, to which the environment has the credentials; null: a server of the
   * deployment's own.
   */
  readonly natsUrl?: string | null;
  /**
   * Where the coordinator listens. The stages, and all metrics, are on loopback. Default 127.0.0.1.
   */
  readonly host?: string;
  /**
   * The coordinator's, followed by the others' (see `planServices`); 0: free ones. Default 7070.
   */
  readonly port?: number;
  readonly replicas?: Replicas;
  /** Further flags of a service. */
  readonly flags?: (service: ServiceName) => readonly string[];
  /** Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly policy?: SupervisionPolicy;
  readonly observer?: SupervisorObserver;
  /** Lines that the processes write. */
  readonly onLine?: (process: string, line: string) => void;
}

/** A process of a deployment as it is now. */
export interface DeployedProcess {
  /** `nats-server`, or the name of the service, numbered for further replicas. */
  readonly name: string;
  /** Undefined while it waits to be started again. */
  readonly pid: number | undefined;
  readonly isReady: boolean;
  readonly address: string;
  /** On loopback; null: it has no page of metrics. */
  readonly metricsPort: number | null;
  /** Times that it was started again. */
  readonly restarts: number;
}

/**
 * NATS, the stages and the coordinator on this machine. A process that dies is started again with
 * its ports.
 */
export interface LocalDeployment {
  /** `host:port` of the coordinator. */
  readonly endpoint: string;
  readonly natsUrl: string;
  readonly stateDir: string;
  /** For a further client of its NATS. Holds a secret. @param name of the client */
  natsAccess(name: string): NatsAccess;
  processes(): readonly DeployedProcess[];
  /** Stops the coordinator, then the stages, then NATS. @returns whether all ended by themselves */
  stop(): Promise<boolean>;
  /** Ends all at once. */
  kill(): Promise<void>;
}

const loopback = '127.0.0.1';
const natsName = 'nats-server';
const natsUser = 'emloc';
const defaultPort = 7070;
const keptLines = 5;

export interface DeploymentSignals {
  /** Ends the start: what was started is stopped. */
  readonly stop?: AbortSignal;
  /** Ends all processes at once, also while a stop waits for them. */
  readonly kill?: AbortSignal;
}

/**
 * Starts everything and waits until all processes are ready.
 * @throws LocalDeploymentError; NatsError NATS_SERVER_NOT_FOUND; the reason of the signal
 * that ended the start
 */
export async function startLocalDeployment(
  options: LocalDeploymentOptions,
  signals: DeploymentSignals = {},
): Promise<LocalDeployment> {
  const services = planServices(options.port ?? defaultPort, options.replicas);
  const natsBinary =
    options.natsUrl === undefined || options.natsUrl === null ? findNatsServer() : null;
  for (const { service } of services) assertProgram(options.program(service));
  const state = await takeStateFolder(options.stateDir);
  const deployment = new SupervisedDeployment(options, { services, natsBinary, state });
  await deployment.start(signals);
  return deployment;
}

function assertProgram(file: string): void {
  if (!existsSync(file))
    throw new LocalDeploymentError(
      'DEPLOYMENT_PROGRAM_MISSING',
      `${file} is missing: npm run build makes it`,
    );
}

interface Parts {
  readonly services: readonly ServicePlan[];
  readonly natsBinary: string | null;
  readonly state: StateFolder;
}

class SupervisedDeployment implements LocalDeployment {
  readonly #supervisor: Supervisor;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #natsPassword = randomSecret();
  /** The last lines of each process, for the error of one that does not start. */
  readonly #lines = new Map<string, string[]>();

  constructor(
    private readonly options: LocalDeploymentOptions,
    private readonly parts: Parts,
  ) {
    const nats =
      parts.natsBinary === null ? null : { user: natsUser, password: this.#natsPassword };
    this.#env = serviceEnvironment(options.env ?? process.env, {
      stageToken: randomSecret(),
      nats,
    });
    const components = [
      ...(parts.natsBinary === null ? [] : [this.#natsComponent(parts.natsBinary)]),
      ...parts.services.map((plan) => this.#serviceComponent(plan)),
    ];
    this.#supervisor = createSupervisor(components, {
      policy: options.policy,
      observer: options.observer,
    });
  }

  get endpoint(): string {
    return this.#addressOf('coordinator');
  }

  get natsUrl(): string {
    return this.options.natsUrl ?? `nats://${this.#addressOf(natsName)}`;
  }

  natsAccess(name: string): NatsAccess {
    const auth =
      this.parts.natsBinary === null
        ? undefined
        : ({ kind: 'password', user: natsUser, password: this.#natsPassword } as const);
    return { servers: this.natsUrl.split(','), name, auth };
  }

  get stateDir(): string {
    return this.parts.state.path;
  }

  async start({ stop, kill }: DeploymentSignals): Promise<void> {
    const onStop = (): void => void this.#supervisor.stop();
    stop?.addEventListener('abort', onStop, { once: true });
    kill?.addEventListener('abort', () => void this.#supervisor.kill(), { once: true });
    try {
      const started = this.#supervisor.start();
      if (stop?.aborted) onStop();
      await started;
    } catch (error) {
      await this.parts.state.release();
      stop?.throwIfAborted();
      kill?.throwIfAborted();
      throw this.#startError(error);
    } finally {
      stop?.removeEventListener('abort', onStop);
    }
  }

  processes(): readonly DeployedProcess[] {
    return this.#supervisor.status().map(({ name, pid, isReady, endpoint, starts }) => ({
      name,
      pid,
      isReady,
      address: endpoint?.address ?? '',
      metricsPort: endpoint?.metricsPort ?? null,
      restarts: Math.max(0, starts - 1),
    }));
  }

  async stop(): Promise<boolean> {
    const isOrderly = await this.#supervisor.stop();
    await this.parts.state.release();
    return isOrderly;
  }

  async kill(): Promise<void> {
    await this.#supervisor.kill();
    await this.parts.state.release();
  }

  #natsComponent(binary: string): Component {
    const { state } = this.parts;
    return {
      name: natsName,
      tier: 0,
      start: (known) => {
        const user = { kind: 'password', user: natsUser, password: this.#natsPassword } as const;
        const started = startNatsProcess(
          { binary, folder: state.nats, port: known ? portOf(known.address) : null, user },
          this.#collect(natsName),
        );
        state.noteNats(started.pid);
        void endWhenStoreHangs(started, this.natsAccess('supervisor'), (line) =>
          this.#collect(natsName)(line),
        );
        return started;
      },
    };
  }

  #serviceComponent(plan: ServicePlan): Component {
    const { name, service } = plan;
    return {
      name,
      tier: service === 'coordinator' ? 2 : 1,
      start: (known) =>
        startServiceProcess(
          {
            file: this.options.program(service),
            args: [
              '--host',
              service === 'coordinator' ? (this.options.host ?? loopback) : loopback,
              '--metrics-host',
              loopback,
              '--port',
              String(known ? portOf(known.address) : plan.port),
              '--metrics-port',
              String(known?.metricsPort ?? plan.metricsPort),
              '--nats-url',
              this.natsUrl,
              '--instance',
              instanceName(hostname(), name),
              '--scratch-dir',
              this.parts.state.scratchOf(name),
              ...(service === 'coordinator'
                ? stageAddressFlags(this.parts.services, (stage) => this.#addressOf(stage))
                : []),
              ...(this.options.flags?.(service) ?? []),
            ],
            env: this.#env,
          },
          this.#collect(name),
        ),
    };
  }

  #addressOf(name: string): string {
    return (
      this.#supervisor.status().find((status) => status.name === name)?.endpoint?.address ?? ''
    );
  }

  #collect(name: string): (line: string) => void {
    return (line) => {
      this.#lines.set(name, [...(this.#lines.get(name) ?? []).slice(1 - keptLines), line]);
      this.options.onLine?.(name, line);
    };
  }

  #startError(cause: unknown): Error {
    const failure = cause instanceof StartFailure ? cause.failure : null;
    const lines = failure ? (this.#lines.get(failure.name) ?? []) : [];
    return new LocalDeploymentError(
      'DEPLOYMENT_START_FAILED',
      [(cause as Error).message, ...lines].join('\n  '),
      { cause },
    );
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
