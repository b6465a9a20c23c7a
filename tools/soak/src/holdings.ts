import type { Bed } from './bed/bed.js';
import { growthOf, type Allowance, type Growth } from './checks/growth.js';
import { measureStored } from './checks/leftovers.js';
import { sampleProcess } from './checks/process-sample.js';
import type { BedKind } from './plan/rounds.js';

/** What of a process or a bed is watched over the rounds. */
export type Quantity = 'memory' | 'descriptors' | 'streams' | 'consumers' | 'stored';

/** How a quantity went, in the longest life of a process, or on a bed. */
export interface Course extends Growth {
  readonly bed: BedKind;
  /** `process` or `JetStream`. */
  readonly of: string;
  readonly quantity: Quantity;
  readonly rounds: number;
  /** How often the process lived. */
  readonly lives: number;
  /** Of what is stored: the stream that held most, and how much, at the end. */
  readonly most: string | null;
}

const MiB = 2 ** 20;
/**
 * What may be noise. Memory: V8 keeps what it once needed, and a sample may come just before a
 * collection. Descriptors: connections to streams of events close a moment after a job.
 */
const allowances: Readonly<Record<Quantity, Allowance>> = Object.freeze({
  memory: { absolute: 24 * MiB, share: 0.05, floor: 0 },
  descriptors: { absolute: 4, share: 0, floor: 0 },
  streams: { absolute: 0, share: 0, floor: 0 },
  consumers: { absolute: 4, share: 0, floor: 0 },
  stored: { absolute: 2 * MiB, share: 0.1, floor: 0 },
});
/** Up to its limit, nats-server collects nothing. */
const natsMemory: Allowance = { ...allowances.memory, floor: 112 * MiB };

interface Life {
  readonly bed: BedKind;
  readonly of: string;
  /** Null: of what outlives processes. */
  readonly pid: number | null;
  readonly values: Map<Quantity, number[]>;
  most: string | null;
}

/** What beds and their processes hold, from round to round. */
export class Holdings {
  readonly #lives: Life[] = [];

  /** Takes a sample of everything, when a round is over. */
  async sample(bed: Bed): Promise<void> {
    for (const { name, pid } of bed.processes()) {
      const sample = pid === undefined ? null : sampleProcess(pid);
      if (!sample || pid === undefined) continue;
      const life = this.#life(bed.kind, name, pid);
      add(life, 'memory', sample.residentBytes);
      add(life, 'descriptors', sample.descriptors);
    }
    const { streams, consumers, bytes, most } = await measureStored(bed.nats);
    const life = this.#life(bed.kind, 'JetStream', null);
    life.most = most;
    add(life, 'streams', streams);
    add(life, 'consumers', consumers);
    add(life, 'stored', bytes);
  }

  /** Of each process its longest life. */
  courses(): Course[] {
    const names = new Set(this.#lives.map(({ bed, of }) => `${bed}\n${of}`));
    return [...names].flatMap((name) => {
      const lives = this.#lives.filter(({ bed, of }) => `${bed}\n${of}` === name);
      const longest = lives.reduce((best, life) => (rounds(life) > rounds(best) ? life : best));
      return [...longest.values].map(([quantity, values]) => ({
        bed: longest.bed,
        of: longest.of,
        quantity,
        rounds: values.length,
        lives: lives.length,
        most: longest.most,
        ...growthOf(values, allowanceOf(longest.of, quantity)),
      }));
    });
  }

  #life(bed: BedKind, of: string, pid: number | null): Life {
    const known = this.#lives.find(
      (life) => life.bed === bed && life.of === of && life.pid === pid,
    );
    if (known) return known;
    const life: Life = { bed, of, pid, values: new Map(), most: null };
    this.#lives.push(life);
    return life;
  }
}

function allowanceOf(name: string, quantity: Quantity): Allowance {
  return name === 'nats-server' && quantity === 'memory' ? natsMemory : allowances[quantity];
}

function add(life: Life, quantity: Quantity, value: number): void {
  life.values.set(quantity, [...(life.values.get(quantity) ?? []), value]);
}

function rounds({ values }: Life): number {
  return Math.max(...[...values.values()].map(({ length }) => length));
}
