import { at } from '@emloc/checked';
import { createRandom, type Random } from '@emloc/dataset';

import {
  anyFault,
  between,
  chosen,
  inOrder,
  pauseSeconds,
  processNames,
  services,
  type Fault,
  type ProcessName,
} from './faults.js';

/**
 * Deployments. `steady`: as `emloc serve` makes it, and no process of it is ever ended, so that its
 * memory can be watched. `rough`: the same, for the rest. `pair`: two coordinators and two
 * emulator-builders. `secured`: TLS, client certificates and a user at NATS for each service.
 * `full`: a nats-server that has little space.
 */
export const bedKinds = Object.freeze(['steady', 'rough', 'pair', 'secured', 'full'] as const);
export type BedKind = (typeof bedKinds)[number];

/** What is asked for. `failing`: less memory than the first stage needs. */
export type JobKind = 'plain' | 'merge' | 'ratio-1' | 'failing';
type JobEnd = 'succeeded' | 'failed' | 'cancelled';

/** A job, where it runs, and what happens meanwhile. */
export interface RoundPlan {
  readonly kind: RoundKind;
  /** Among those of its kind. */
  readonly index: number;
  readonly bed: BedKind;
  readonly job: JobKind;
  readonly faults: readonly Fault[];
  /** How the job may end; what it makes has the right bytes besides. */
  readonly ends: readonly JobEnd[];
  /** Another tenant does its worst meanwhile. */
  readonly besideHostile: boolean;
}

interface Definition {
  readonly bed: BedKind;
  readonly job?: JobKind;
  readonly ends?: readonly JobEnd[];
  readonly besideHostile?: true;
  /** @param index of the round among those of its kind */
  readonly faults: (random: Random, index: number) => readonly Fault[];
}

const cutSeconds = 20;
const pairNames: readonly ProcessName[] = [...processNames, 'coordinator-2', 'emulator-builder-2'];

/** One or two processes are killed. Rounds in a row take all processes in turn. */
function kills(random: Random, index: number): Fault[] {
  const first = at(
    processNames,
    (index + Math.floor(index / processNames.length)) % processNames.length,
  );
  const others = processNames.filter((name) => name !== first);
  const count = random.nextFloat() < 0.5 ? 1 : 0;
  return [first, ...chosen(random, others, count)].map((process) => ({
    kind: 'kill',
    process,
    at: random.nextFloat(),
  }));
}

/** So many processes, each with a fault of its own. */
function faultsOf(random: Random, from: readonly ProcessName[], count: number): Fault[] {
  return chosen(random, from, count).map((process) => anyFault(random, process));
}

/** NATS is killed while the coordinator stands still, for longer than its lease lasts. */
function expiry(random: Random): Fault[] {
  const moment = random.nextFloat();
  return [
    { kind: 'kill', process: 'nats-server', at: moment },
    { kind: 'pause', process: 'coordinator', at: moment, seconds: between(random, 6, 10) },
  ];
}

function terminations(random: Random): Fault[] {
  return services.map((process) => ({ kind: 'terminate', process, at: random.nextFloat() }));
}

function pauses(random: Random): Fault[] {
  return chosen(random, services, 1 + random.nextInt(2)).map((process) => ({
    kind: 'pause',
    process,
    at: random.nextFloat(),
    seconds: pauseSeconds(random),
  }));
}

function fill(random: Random, index: number): Fault {
  return {
    kind: 'fill',
    what: index % 2 === 0 ? 'limit' : 'disk',
    at: random.nextFloat(),
    seconds: between(random, 2, 8),
  };
}

const definitions = {
  steady: { bed: 'steady', faults: () => [] },
  cut: {
    bed: 'steady',
    faults: (random) => [
      { kind: 'pause', process: 'nats-server', at: random.nextFloat(), seconds: cutSeconds },
    ],
  },
  pause: { bed: 'steady', faults: pauses },
  kill: { bed: 'rough', faults: kills },
  terminate: { bed: 'rough', faults: terminations },
  lease: { bed: 'rough', faults: expiry },
  storm: {
    bed: 'rough',
    faults: (random) => faultsOf(random, processNames, 3 + random.nextInt(3)),
  },
  pair: {
    bed: 'pair',
    faults: (random, index) =>
      index % 3 === 0 ? expiry(random) : faultsOf(random, pairNames, 1 + random.nextInt(4)),
  },
  secured: {
    bed: 'secured',
    faults: (random) => faultsOf(random, processNames, 1 + random.nextInt(3)),
  },
  merge: {
    bed: 'rough',
    job: 'merge',
    faults: (random) => faultsOf(random, processNames, 1 + random.nextInt(2)),
  },
  'ratio-1': {
    bed: 'rough',
    job: 'ratio-1',
    faults: (random) => faultsOf(random, processNames, 1 + random.nextInt(2)),
  },
  cancel: {
    bed: 'rough',
    ends: ['cancelled', 'succeeded'],
    faults: (random) => [
      ...faultsOf(random, processNames, 1 + random.nextInt(2)),
      { kind: 'cancel', at: random.nextFloat() },
    ],
  },
  fail: {
    bed: 'rough',
    job: 'failing',
    ends: ['failed'],
    faults: (random) => faultsOf(random, processNames, 1 + random.nextInt(2)),
  },
  disk: {
    bed: 'full',
    ends: ['succeeded', 'failed'],
    faults: (random, index) => [fill(random, index)],
  },
  hostile: { bed: 'rough', besideHostile: true, faults: kills },
} as const satisfies Readonly<Record<string, Definition>>;

export type RoundKind = keyof typeof definitions;
export const roundKinds = Object.freeze(Object.keys(definitions) as RoundKind[]);

/** The round that a seed, a kind and a number stand for. */
export function planRound(seed: number, kind: RoundKind, index: number): RoundPlan {
  const definition: Definition = definitions[kind];
  const random = createRandom(seed, `${kind} ${index}`);
  return {
    kind,
    index,
    bed: definition.bed,
    job: definition.job ?? 'plain',
    faults: inOrder(definition.faults(random, index)),
    ends: definition.ends ?? ['succeeded'],
    besideHostile: definition.besideHostile ?? false,
  };
}

/** So many rounds without faults come with one of each other kind: memory is watched over them. */
const steadyShare = 2;

/**
 * Rounds without end, each kind once and then all again, in another order every time.
 * @param from number of the first round of each kind
 */
export function* planRounds(
  seed: number,
  kinds: readonly RoundKind[],
  from = 0,
): Generator<RoundPlan, never, undefined> {
  const next = new Map<RoundKind, number>();
  for (let cycle = 0; ; cycle += 1) {
    const all = kinds.flatMap((kind) =>
      Array<RoundKind>(kind === 'steady' && kinds.length > 1 ? steadyShare : 1).fill(kind),
    );
    for (const kind of createRandom(seed, `cycle ${cycle}`).shuffle(all)) {
      const index = next.get(kind) ?? from;
      next.set(kind, index + 1);
      yield planRound(seed, kind, index);
    }
  }
}

/** @throws RangeError that names what is no kind */
export function parseKinds(text: string): RoundKind[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(roundKinds as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new RangeError(`kinds: '${unknown}': one of ${roundKinds.join(', ')} is expected`);
  return names as RoundKind[];
}
