import { bucketNames } from '@emloc/job-storage';
import { serviceNames, type ServiceName } from '@emloc/local-deployment';
import type { NatsPermissions, NatsVariable } from '@emloc/nats';

/**
 * A service's user at NATS, whose password is a text, or a variable of the server's environment.
 */
export interface NatsServiceUser<P extends string | NatsVariable> {
  readonly kind: 'password';
  readonly user: ServiceName;
  readonly password: P;
  readonly permissions: NatsPermissions;
}

const common = [bucketNames.specs, bucketNames.stages, bucketNames.devices];
const objects = [bucketNames.tensors, bucketNames.datasets, bucketNames.artifacts];

/**
 * Every service makes what is missing. The streams of queues have the job in their name, for which
 * no wildcard but `*` stands.
 */
const toOpen = [
  '$JS.API.INFO',
  '$JS.API.STREAM.CREATE.*',
  '$JS.API.STREAM.INFO.*',
  ...common.map((bucket) => `$JS.API.DIRECT.GET.KV_${bucket}.>`),
  '$JS.API.CONSUMER.CREATE.*.workers',
];
const toReadObjects = objects.flatMap((bucket) => [
  `$JS.API.STREAM.MSG.GET.OBJ_${bucket}`,
  `$JS.API.CONSUMER.CREATE.OBJ_${bucket}`,
  `$JS.API.CONSUMER.MSG.NEXT.OBJ_${bucket}.*`,
  `$JS.API.CONSUMER.DELETE.OBJ_${bucket}.*`,
]);
/** Of servers that count purged messages as stored ones, each is deleted. */
const toPurge = (stream: string): string[] => [
  `$JS.API.STREAM.PURGE.${stream}`,
  `$JS.API.STREAM.MSG.DELETE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
];
const toWriteObjects = (bucket: string): string[] => [
  `$O.${bucket}.>`,
  ...toPurge(`OBJ_${bucket}`),
];
/** Records of queues, and of devices, have keys of one token; those of jobs have two. */
const toShareWork = ['$JS.API.DIRECT.GET.*.$KV.*.*', '$KV.*.*', 'emloc.work.*.*'];
const toTakeWork = [
  ...toShareWork,
  '$JS.API.CONSUMER.INFO.*.workers',
  '$JS.API.CONSUMER.MSG.NEXT.*.workers',
  '$JS.ACK.*.workers.>',
  '$JS.API.CONSUMER.CREATE.*.*.$KV.*.>',
];
const toRunStages = [
  ...toOpen,
  ...toReadObjects,
  ...toWriteObjects(bucketNames.tensors),
  `$KV.${bucketNames.stages}.>`,
  `$KV.${bucketNames.devices}.>`,
];

/** Subjects that a service publishes to. */
const publishOf: Readonly<Record<ServiceName, readonly string[]>> = {
  calibrator: [...toRunStages, ...toShareWork],
  'emulator-builder': [...toRunStages, ...toTakeWork],
  trainer: [...toRunStages, '$JS.API.DIRECT.GET.*.$KV.*.*'],
  corrector: [...toRunStages, ...toTakeWork, ...toWriteObjects(bucketNames.artifacts)],
  coordinator: [
    ...toOpen,
    ...toReadObjects,
    ...objects.flatMap(toWriteObjects),
    `$KV.${bucketNames.specs}.>`,
    `$KV.${bucketNames.stages}.>`,
    '$KV.emloc-jobs.>',
    '$KV.emloc-coordinator-lease.>',
    'emloc.numbered.jobs.*',
    '$JS.API.DIRECT.GET.KV_emloc-jobs.>',
    '$JS.API.DIRECT.GET.KV_emloc-coordinator-lease.>',
    '$JS.API.STREAM.MSG.GET.NUMBERED_jobs',
    '$JS.API.STREAM.PURGE.KV_emloc-coordinator-lease',
    ...['NUMBERED_jobs', `KV_${bucketNames.specs}`, `KV_${bucketNames.stages}`].flatMap(toPurge),
    '$JS.API.STREAM.DELETE.*',
    '$JS.API.CONSUMER.CREATE.KV_emloc-jobs.>',
    '$JS.API.CONSUMER.DELETE.KV_emloc-jobs.*',
    // To list objects.
    ...objects.map((bucket) => `$JS.API.CONSUMER.CREATE.OBJ_${bucket}.>`),
  ],
};

/**
 * What the wildcards of a stage allow and no stage does: it neither writes specifications and
 * leases nor reads jobs and their events.
 */
const deniedToStages = [
  `$KV.${bucketNames.specs}.>`,
  '$KV.emloc-coordinator-lease.>',
  ...['KV_emloc-jobs', 'KV_emloc-coordinator-lease', 'NUMBERED_jobs'].flatMap((stream) => [
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
  ]),
];

/** Subject of a service's answers, where nobody else listens. */
export function inboxPrefixOf(service: ServiceName): string {
  return `_INBOX_${service.replaceAll('-', '_')}`;
}

/** A user for each service, with a password of its own, that may do what the service does. */
export function natsUsers<P extends string | NatsVariable>(
  passwordOf: (service: ServiceName) => P,
): ReadonlyMap<ServiceName, NatsServiceUser<P>> {
  return new Map(
    serviceNames.map((user) => [
      user,
      { kind: 'password', user, password: passwordOf(user), permissions: permissionsOf(user) },
    ]),
  );
}

function permissionsOf(user: ServiceName): NatsPermissions {
  return {
    publish: [...new Set(publishOf[user])],
    ...(user === 'coordinator' ? {} : { denyPublish: deniedToStages }),
    subscribe: [`${inboxPrefixOf(user)}.>`],
  };
}
