import {
  choiceOption,
  commonOptions,
  integerOption,
  listOption,
  stringOption,
  type OptionSet,
  type OptionValues,
} from '@emloc/service';

/** Options of every stage service. */
export const stageOptions = {
  ...commonOptions,
  device: stringOption({
    description: 'auto, cpu, cuda or cuda:N',
    placeholder: 'NAME',
    default: 'auto',
  }),
  threads: integerOption({
    description: 'CPU threads; 0: OMP_NUM_THREADS, else all cores',
    default: 0,
    min: 0,
    max: 1024,
  }),
  deviceName: stringOption<string | undefined>({
    description:
      'name of the device for all processes that share it (default: UUID of the card, or host name and device)',
    placeholder: 'NAME',
    default: undefined,
  }),
  modelHub: choiceOption({
    description:
      'models by hub names: those in the hub cache of this host, downloaded where they are missing, or none',
    choices: ['cache', 'download', 'off'],
    default: 'cache',
  }),
  coordinatorNames: listOption({
    description: 'names of client certificates that may call, with TLS',
    placeholder: 'NAME,NAME',
    default: ['coordinator'],
  }),
  stageToken: stringOption<string | undefined>({
    description: 'token that callers present, where there are no client certificates',
    secret: true,
    default: undefined,
  }),
} satisfies OptionSet;

export type StageOptions = OptionValues<typeof stageOptions>;
