import type { Random } from '@emloc/dataset';
import type { StageName } from '@emloc/local-deployment';

/** The processes of a deployment, `-2` for further replicas. */
export type ProcessName =
  'nats-server' | 'coordinator' | 'coordinator-2' | 'emulator-builder-2' | StageName;

/** A process, and what happens to it. */
export type ProcessFault =
  /** SIGKILL. */
  | { readonly kind: 'kill'; readonly process: ProcessName; readonly at: number }
  /** SIGTERM, as when a node is drained. */
  | { readonly kind: 'terminate'; readonly process: ProcessName; readonly at: number }
  /** SIGSTOP, and SIGCONT after `seconds`: to others it is as if the network to it were cut. */
  | {
      readonly kind: 'pause';
      readonly process: ProcessName;
      readonly at: number;
      readonly seconds: number;
    };

/**
 * Something that happens while a job runs, `at` a share of the time that the job takes undisturbed.
 */
export type Fault =
  | ProcessFault
  /** What NATS may store is used up for `seconds`: its disk, or the limit that it was given. */
  | {
      readonly kind: 'fill';
      readonly what: 'disk' | 'limit';
      readonly at: number;
      readonly seconds: number;
    }
  /** The job's owner cancels it. */
  | { readonly kind: 'cancel'; readonly at: number };

export const services = Object.freeze([
  'calibrator',
  'emulator-builder',
  'trainer',
  'corrector',
  'coordinator',
] as const satisfies readonly ProcessName[]);

/** The six processes of a deployment without further replicas. */
export const processNames = Object.freeze([
  'nats-server',
  ...services,
] as const satisfies readonly ProcessName[]);

/** In the order of time. */
export function inOrder(faults: readonly Fault[]): readonly Fault[] {
  return [...faults].sort((a, b) => a.at - b.at);
}

/** So many of them, each once. */
export function chosen<T>(random: Random, from: readonly T[], count: number): T[] {
  return random.shuffle([...from]).slice(0, count);
}

/** At least `least`, below `limit`. */
export function between(random: Random, least: number, limit: number): number {
  return least + random.nextFloat() * (limit - least);
}

/** Any fault of processes; nats-server is not asked to end, which `emloc serve` never does. */
export function anyFault(random: Random, process: ProcessName): ProcessFault {
  const at = random.nextFloat();
  const kind = random.nextInt(3);
  if (kind === 0) return { kind: 'pause', process, at, seconds: pauseSeconds(random) };
  return { kind: kind === 1 && process !== 'nats-server' ? 'terminate' : 'kill', process, at };
}

/**
 * Short ones, which only delay, and those that outlast a lease (5 s) or what a stage may be silent
 * (15 s here).
 */
export function pauseSeconds(random: Random): number {
  return random.nextFloat() < 0.4 ? between(random, 0.5, 4) : between(random, 6, 20);
}
