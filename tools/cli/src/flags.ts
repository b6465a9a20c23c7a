import {
  defaultCheckpointSteps,
  defaultEvaluateOptions,
  defaultTuneOptions,
  type StartMode,
  type TuneOptions,
} from '@emloc/pipeline';
import { InvalidArgumentError, Option, type Command } from 'commander';

import { parseSize } from './sizes.js';
import { UsageError } from './usage-error.js';

/** Values of the flags as commander names them. */
export type FlagValues = Readonly<Record<string, unknown>>;

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value))
    throw new InvalidArgumentError('A number is expected.');
  return value;
}

function size(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

function correction(text: string): TuneOptions['correction'] {
  return text === 'auto' || text === 'none' ? text : number(text);
}

function list(text: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), text];
}

function option(
  flags: string,
  description: string,
  parse?: (text: string, previous: never) => unknown,
): Option {
  const created = new Option(flags, description);
  return parse ? created.argParser(parse as (text: string, previous: unknown) => unknown) : created;
}

/**
 * A description with the default that `options.ts` of the pipeline has; commander holds none of its
 * own.
 */
function withDefault(description: string, value: unknown): string {
  return `${description} (default: ${String(value)})`;
}

const d = defaultTuneOptions;

/** Flags of every command that runs a model. */
export const deviceFlags: readonly Option[] = [
  option(
    '--device <name>',
    'auto, cpu, cuda, cuda:N or tfjs (default: auto, CUDA where it can be had)',
  ),
  option(
    '--vram <size>',
    'device memory budget, as in 16GiB (default: what inference takes)',
    size,
  ),
  option(
    '--host-memory <size>',
    'host memory for weights that are not on the device (default: half of what is free)',
    size,
  ),
  option('--threads <n>', 'CPU threads (default: all cores)', number),
  option('--no-prefetch', 'load a layer only when it is asked for'),
];

/** Flags of `tune` and `plan`. */
export const jobFlags: readonly Option[] = [
  option('--model <dir>', 'checkpoint folder (Hugging Face layout)'),
  option('--data <file>', 'training rows, JSONL with "messages" or "prompt" and "completion"'),
  option(
    '--validation <file>',
    'validation rows (default: 5 % of the data, 16 to 256 rows, held out by seed)',
  ),
  option(
    '--ratio <ratio>',
    withDefault(
      "emulator size: 0.5, or 'PATTERN=0.4' (repeatable, first match wins); 1 is plain LoRA",
      d.ratios.join(),
    ),
    list,
  ),
  option('--rank <n>', withDefault('LoRA rank', d.rank), number),
  option('--alpha <x>', withDefault('LoRA alpha', d.alpha), number),
  option('--rslora', 'scale by alpha / sqrt(rank)'),
  option(
    '--targets <pattern>',
    'regular expression over whole module paths (default: all linear layers of the blocks)',
  ),
  option('--lr <x>', withDefault('peak learning rate', d.learningRate), number),
  option(
    '--schedule <kind>',
    withDefault('learning rate: cosine, linear or constant', d.schedule),
  ).choices(['cosine', 'linear', 'constant']),
  option(
    '--warmup-ratio <x>',
    withDefault('share of the steps that warm up', d.warmupRatio),
    number,
  ),
  option('--weight-decay <x>', withDefault('AdamW weight decay', d.weightDecay), number),
  option('--max-grad-norm <x>', withDefault('gradient clipping', d.maxGradientNorm), number),
  option('--steps <n>', 'optimizer steps').argParser(number).conflicts('epochs'),
  option('--epochs <x>', withDefault('passes over the training rows', d.epochs), number),
  option('--batch <n>', withDefault('rows per micro-batch', d.batch), number),
  option('--grad-accum <n>', withDefault('micro-batches per step', d.gradientAccumulation), number),
  option('--max-length <tokens>', withDefault('longer rows are truncated', d.maxLength), number),
  option(
    '--calibration <rows>',
    withDefault('rows that the emulator is calibrated on', d.calibrationRows),
    number,
  ),
  option(
    '--correction <choice>',
    withDefault('auto, none or a number (lambda)', d.correction),
    correction,
  ),
  option(
    '--refine-steps <n>',
    'steps on the original after the correction (default: 10 % of the steps)',
    number,
  ),
  option('--refine-lr <x>', 'their peak learning rate (default: half of --lr)', number),
  option('--seed <n>', withDefault('decides everything random', d.seed), number),
];

/** Flags about jobs that were interrupted; they change no bytes of a result. */
export const progressFlags: readonly Option[] = [
  option('--resume', 'go on with the job that was interrupted; with none, begin'),
  option('--restart', 'throw away what an interrupted job has left, and begin anew'),
  option(
    '--checkpoint-steps <n>',
    withDefault('training is kept on disk after so many steps', defaultCheckpointSteps),
    number,
  ),
];

/** What happens to an interrupted job's progress. @throws UsageError */
export function startMode(values: FlagValues): StartMode {
  const [resume, restart] = [values['resume'] === true, values['restart'] === true];
  if (resume && restart) throw new UsageError('--resume and --restart exclude each other');
  return resume ? 'resume' : restart ? 'restart' : 'start';
}

/** Flags of `eval`. */
export const evaluateFlags: readonly Option[] = [
  option('--model <dir>', 'checkpoint folder (Hugging Face layout)'),
  option('--adapter <dir>', 'PEFT adapter (default: none, the base model)'),
  option('--data <file>', 'rows to score, JSONL as for tune'),
  option('--limit <n>', 'only the first rows', number),
  option('--answers <n>', 'also show greedy answers to the first rows', number),
  option('--batch <n>', withDefault('rows per batch', defaultEvaluateOptions.batch), number),
  option(
    '--max-length <tokens>',
    withDefault('longer rows are truncated', defaultEvaluateOptions.maxLength),
    number,
  ),
];

/** Flags of every command. */
export const commonFlags: readonly Option[] = [
  option('--config <file>', 'YAML file with the names of these flags as keys; flags win'),
  option('--json', 'one JSON document on stdout, everything else on stderr'),
];

export function addFlags(command: Command, ...groups: readonly (readonly Option[])[]): Command {
  for (const flag of groups.flat()) command.addOption(flag);
  return command;
}

/** The job that the flags describe, without defaults. */
export function jobOptions(values: FlagValues): Partial<TuneOptions> {
  const given: Record<string, unknown> = {
    model: values['model'],
    data: values['data'],
    validation: values['validation'],
    out: values['out'],
    vramBytes: values['vram'],
    hostBytes: values['hostMemory'],
    ratios: values['ratio'],
    rank: values['rank'],
    alpha: values['alpha'],
    useRslora: values['rslora'],
    targets: values['targets'],
    learningRate: values['lr'],
    schedule: values['schedule'],
    warmupRatio: values['warmupRatio'],
    weightDecay: values['weightDecay'],
    maxGradientNorm: values['maxGradNorm'],
    steps: values['steps'],
    epochs: values['epochs'],
    batch: values['batch'],
    gradientAccumulation: values['gradAccum'],
    maxLength: values['maxLength'],
    calibrationRows: values['calibration'],
    correction: values['correction'],
    refineSteps: values['refineSteps'],
    refineLearningRate: values['refineLr'],
    seed: values['seed'],
    prefetch: values['prefetch'],
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
