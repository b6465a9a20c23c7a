import { at } from '@emloc/checked';
import { createRandom } from '@emloc/dataset';

/** The six processes of a deployment. */
export const processNames = Object.freeze([
  'nats-server',
  'calibrator',
  'emulator-builder',
  'trainer',
  'corrector',
  'coordinator',
] as const);

export type ProcessName = (typeof processNames)[number];

/**
 * Something that happens to a process while a job runs, `at` a share of the time that the job takes
 * undisturbed. `cut`: it stands still and answers nobody for `seconds`, as when the network to it
 * is cut. `terminate`: it is asked to end, as when a node is drained.
 */
export type Fault =
  | { readonly kind: 'kill' | 'terminate'; readonly process: ProcessName; readonly at: number }
  | {
      readonly kind: 'cut';
      readonly process: 'nats-server';
      readonly at: number;
      readonly seconds: number;
    };

const cutSeconds = 20;
/** Every sixth seed cuts NATS off, which takes longest. */
const cutEvery = 6;

/**
 * The faults of a seed, in the order of time: one or two processes are killed, or NATS is cut off.
 * Seeds in a row take all processes in turn.
 */
export function planFaults(seed: number): readonly Fault[] {
  const random = createRandom(seed, 'faults');
  const moment = random.nextFloat();
  if (seed % cutEvery === cutEvery - 1)
    return [{ kind: 'cut', process: 'nats-server', at: moment, seconds: cutSeconds }];
  const first = at(
    processNames,
    (seed + Math.floor(seed / processNames.length)) % processNames.length,
  );
  const others = processNames.filter((name) => name !== first);
  const second = random.nextFloat() < 0.5 ? others[random.nextInt(others.length)] : undefined;
  const kills: Fault[] = [
    { kind: 'kill', process: first, at: moment },
    ...(second ? [{ kind: 'kill', process: second, at: random.nextFloat() } as const] : []),
  ];
  return kills.sort((a, b) => a.at - b.at);
}

/** Each service is asked to end once, at a moment of its own. */
export function planTerminations(seed: number): readonly Fault[] {
  const random = createRandom(seed, 'terminations');
  const services = processNames.filter((name) => name !== 'nats-server');
  return services
    .map((process): Fault => ({ kind: 'terminate', process, at: random.nextFloat() }))
    .sort((a, b) => a.at - b.at);
}

/** `0-4,7`: seeds 0 to 4 and 7. @throws RangeError */
export function parseSeeds(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (from === undefined || Number(to) < Number(from))
      throw new RangeError(`seeds: '${part}': a number or a range such as 0-29 is expected`);
    return Array.from(
      { length: Number(to) - Number(from) + 1 },
      (_, index) => Number(from) + index,
    );
  });
}
