import { at } from '@emloc/checked';
import type { Lane } from '@emloc/service-kit';

/** Shares of large messages that something happens to. */
export interface LaneFaults {
  readonly seed: number;
  readonly drop?: number;
  readonly duplicate?: number;
  readonly corrupt?: number;
  /** Held back and sent after the next message. */
  readonly reorder?: number;
}

/**
 * A lane that mistreats what is published over it, the same way for the same seed. Counts the
 * faults.
 */
export function createFaultyLane(
  lane: Lane,
  faults: LaneFaults,
): Lane & { readonly faultCount: number } {
  const random = mulberry32(faults.seed);
  let held: (() => void) | undefined;
  let faultCount = 0;
  const faulty = Object.create(lane, { faultCount: { get: () => faultCount } }) as Lane & {
    readonly faultCount: number;
  };
  faulty.subscribe = lane.subscribe.bind(lane);
  faulty.onReconnect = lane.onReconnect.bind(lane);
  Object.defineProperty(faulty, 'maxPayloadBytes', { get: () => lane.maxPayloadBytes });
  faulty.publish = (subject, parts, options) => {
    const send = (bytes: readonly Uint8Array[] = parts): boolean =>
      lane.publish(subject, bytes, options);
    const dice = random();
    const { drop = 0, duplicate = 0, corrupt = 0, reorder = 0 } = faults;
    const before = held;
    held = undefined;
    if (dice < drop + duplicate + corrupt + reorder) faultCount += 1;
    if (dice < drop) {
      before?.();
      return true;
    }
    if (dice < drop + duplicate) send();
    else if (dice < drop + duplicate + corrupt) {
      before?.();
      return send([flipBit(Buffer.concat(parts), random)]);
    } else if (dice < drop + duplicate + corrupt + reorder) {
      const copy = [Buffer.concat(parts)];
      held = () => {
        send(copy);
      };
      before?.();
      return true;
    }
    const sent = send();
    before?.();
    return sent;
  };
  return faulty;
}

function flipBit(bytes: Buffer, random: () => number): Buffer {
  const index = Math.floor(random() * bytes.length);
  bytes[index] = at(bytes, index) ^ (1 << Math.floor(random() * 8));
  return bytes;
}

/** A small seeded generator of numbers in [0, 1): mulberry32. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
