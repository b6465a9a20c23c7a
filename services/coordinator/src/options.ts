import {
  booleanOption,
  bytesOption,
  choiceOption,
  commonOptions,
  durationOption,
  integerOption,
  listOption,
  stringOption,
  type OptionSet,
  type OptionValues,
} from '@emloc/service';

const address = (stage: string, port: number) =>
  stringOption({
    description: `address of the ${stage}`,
    placeholder: 'HOST:PORT',
    default: `127.0.0.1:${port}`,
  });

/** Options of the coordinator. */
export const coordinatorOptions = {
  ...commonOptions,
  port: { ...commonOptions.port, default: 7070 },
  metricsPort: { ...commonOptions.metricsPort, default: 7170 },
  calibratorAddress: address('calibrator', 7071),
  emulatorBuilderAddress: listOption({
    description: "addresses of the emulator-builder's replicas",
    placeholder: 'HOST:PORT,...',
    default: ['127.0.0.1:7072'],
  }),
  trainerAddress: address('trainer', 7073),
  correctorAddress: listOption({
    description: "addresses of the corrector's replicas",
    placeholder: 'HOST:PORT,...',
    default: ['127.0.0.1:7074'],
  }),
  stageToken: stringOption<string | undefined>({
    description: 'token that stages ask for, where there are no client certificates',
    secret: true,
    default: undefined,
  }),
  stageTls: booleanOption({
    description: 'speak TLS with the stages too, where TLS files are given',
    default: true,
  }),
  tokensFile: stringOption<string | undefined>({
    description:
      'tokens of tenants, as JSON; without it everyone on loopback is the tenant "local"',
    placeholder: 'FILE',
    default: undefined,
  }),
  modelRoots: listOption({
    description: 'folders whose models may be used; none: no model path is accepted',
    placeholder: 'DIR,DIR',
    default: [],
  }),
  modelHub: choiceOption({
    description: 'models by hub names: those in the hub cache of this host, or none',
    choices: ['cache', 'off'],
    default: 'cache',
  }),
  dataRoots: listOption({
    description: 'folders whose files may be used as data; none: only uploaded data sets',
    placeholder: 'DIR,DIR',
    default: [],
  }),
  tenantRoots: stringOption<string | undefined>({
    description: 'model-roots and data-roots of single tenants, as JSON',
    placeholder: 'FILE',
    default: undefined,
  }),
  maxRunning: integerOption({
    description: 'jobs that run at the same time',
    default: 1,
    min: 1,
    max: 1000,
  }),
  maxQueuedJobs: integerOption({
    description: 'jobs that may wait, of each tenant',
    default: 1000,
    min: 1,
  }),
  maxMessageBytes: bytesOption({
    description: 'largest request message that is accepted; pieces of uploads have 1 MiB',
    default: 4 * 2 ** 20,
    min: 2 * 2 ** 20,
    max: 2 ** 30,
  }),
  maxDatasetBytes: bytesOption({
    description: 'largest data set that may be uploaded',
    default: 2 ** 30,
    min: 1,
  }),
  maxCalls: integerOption({
    description: 'calls at the same time, of each tenant',
    default: 500,
    min: 1,
  }),
  maxUploads: integerOption({
    description: 'uploads at the same time, of each tenant',
    default: 4,
    min: 1,
    max: 1000,
  }),
  uploadIdle: durationOption({
    description: 'how long an upload may stand still before it is ended',
    default: 30_000,
    min: 100,
  }),
  jobRetention: durationOption({
    description:
      'how long a job that is over is kept, with its events and artifacts, and a data set that no job refers to; 0: for ever',
    default: 30 * 24 * 3_600_000,
  }),
  maxSteps: integerOption({
    description: 'most optimizer steps (and epochs) of a job',
    default: 1_000_000,
    min: 1,
  }),
  stageSilence: durationOption({
    description: 'silence of a stage after which its call is made again',
    default: 30_000,
    min: 100,
  }),
  stageRetryFor: durationOption({
    description: 'how long a stage that is away or fails is tried without getting further',
    default: 3_600_000,
  }),
  leaseTtl: durationOption({
    description: 'silence of the leading coordinator after which another takes over',
    default: 5_000,
    min: 500,
  }),
  planDevice: stringOption({
    description: 'device that plans are made for: auto, cpu, cuda or cuda:N',
    placeholder: 'NAME',
    default: 'auto',
  }),
  planThreads: integerOption({
    description: 'CPU threads of plans; 0: OMP_NUM_THREADS, else all cores',
    default: 0,
    min: 0,
    max: 1024,
  }),
} satisfies OptionSet;

export type CoordinatorOptions = OptionValues<typeof coordinatorOptions>;

/** Limits of the coordinator's gRPC server. */
export function serverLimits({
  maxMessageBytes,
  maxCalls,
}: Pick<CoordinatorOptions, 'maxMessageBytes' | 'maxCalls'>): {
  readonly maxReceiveBytes: number;
  readonly maxCallsOfTenant: number;
} {
  return { maxReceiveBytes: maxMessageBytes, maxCallsOfTenant: maxCalls };
}
