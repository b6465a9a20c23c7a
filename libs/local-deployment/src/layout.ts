import { join } from 'node:path';

import { LocalDeploymentError } from './errors.js';

/** Stages in the order of their ports. */
export const stageNames = Object.freeze([
  'calibrator',
  'emulator-builder',
  'trainer',
  'corrector',
] as const);

export type StageName = (typeof stageNames)[number];
export type ServiceName = StageName | 'coordinator';

/** All processes of a deployment besides NATS, in the order of their ports. */
export const serviceNames: readonly ServiceName[] = Object.freeze(['coordinator', ...stageNames]);

/** Stages whose replicas share the work of one job, and coordinators, of which one leads. */
const replicated: readonly ServiceName[] = Object.freeze([
  'emulator-builder',
  'corrector',
  'coordinator',
]);

/** How often services run; once where nothing is said. */
export type Replicas = Readonly<Partial<Record<ServiceName, number>>>;

/**
 * A service process. Replicas after the first are numbered: `emulator-builder`,
 * `emulator-builder-2`.
 */
export interface ServicePlan {
  readonly name: string;
  readonly service: ServiceName;
  /** 0: one that is free. */
  readonly port: number;
  readonly metricsPort: number;
}

const maxReplicas = 64;
const metricsOffset = 100;

/**
 * All service processes and their ports: the coordinator's, then one each for the stages, then for
 * further replicas; pages of metrics 100 above.
 * @param port the coordinator's; 0: free ones for all
 * @throws LocalDeploymentError DEPLOYMENT_INVALID_OPTION
 */
export function planServices(port: number, replicas: Replicas = {}): ServicePlan[] {
  for (const service of serviceNames) assertReplicas(service, replicas[service] ?? 1);
  const more = [...stageNames, 'coordinator' as const].flatMap((service) =>
    Array.from({ length: (replicas[service] ?? 1) - 1 }, (_, index) => ({
      name: `${service}-${index + 2}`,
      service,
    })),
  );
  const all: Pick<ServicePlan, 'name' | 'service'>[] = [
    ...serviceNames.map((service) => ({ name: service, service })),
    ...more,
  ];
  const lastPort = port + metricsOffset + all.length - 1;
  const isValid =
    Number.isSafeInteger(port) && port >= 0 && lastPort <= 65_535 && all.length <= metricsOffset;
  if (!isValid)
    throw new LocalDeploymentError(
      'DEPLOYMENT_INVALID_OPTION',
      `port ${port}: a port is expected whose ${metricsOffset + all.length - 1} followers are ports too, or 0`,
    );
  const place = (offset: number): number => (port === 0 ? 0 : port + offset);
  return all.map((plan, index) => ({
    ...plan,
    port: place(index),
    metricsPort: place(index + metricsOffset),
  }));
}

function assertReplicas(service: ServiceName, count: number): void {
  const most = replicated.includes(service) ? maxReplicas : 1;
  if (Number.isSafeInteger(count) && count >= 1 && count <= most) return;
  throw new LocalDeploymentError(
    'DEPLOYMENT_INVALID_OPTION',
    most === 1
      ? `replicas: ${service} runs once, not ${count} times; only ${replicated.join(', ')} may run more often`
      : `replicas: ${service} runs 1 to ${most} times, not ${count}`,
  );
}

/**
 * Finds the programs of the services where the build puts them.
 * @param dist the folder of all programs
 */
export function programsIn(dist: string): (service: ServiceName) => string {
  return (service) => join(dist, service, `${service}.mjs`);
}

/**
 * Flags that tell the coordinator where the stages listen.
 * @param addressOf by name of the process
 */
export function stageAddressFlags(
  plans: readonly ServicePlan[],
  addressOf: (name: string) => string,
): string[] {
  return stageNames.flatMap((stage) => [
    `--${stage}-address`,
    plans
      .filter(({ service }) => service === stage)
      .map(({ name }) => addressOf(name))
      .join(','),
  ]);
}

/** Name of a process among all that use the same NATS. */
export function instanceName(hostname: string, name: string): string {
  return `${hostname.replace(/[^\w.-]/g, '-').slice(0, 60)}-${name}`;
}

/**
 * The environment of the services: the caller's, with the way to NATS and the token of the stages
 * in place of its own.
 */
export function serviceEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  secrets: {
    readonly stageToken: string;
    readonly nats: { readonly user: string; readonly password: string } | null;
  },
): Record<string, string | undefined> {
  const kept = Object.fromEntries(
    Object.entries(inherited).filter(
      ([name]) =>
        !(secrets.nats && name.startsWith('EMLOC_NATS_')) && !name.startsWith('EMLOC_STAGE_TOKEN'),
    ),
  );
  const nats = secrets.nats
    ? { EMLOC_NATS_USER: secrets.nats.user, EMLOC_NATS_PASSWORD: secrets.nats.password }
    : {};
  return { ...kept, ...nats, EMLOC_STAGE_TOKEN: secrets.stageToken };
}
