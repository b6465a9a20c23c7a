import { formatBytes } from '@emloc/device';
import {
  plannedCard,
  type CardName,
  type NamedTarget,
  type PlannedCard,
} from '@emloc/device-registry';

import { deviceTarget } from './device-target.js';
import type { DeviceValues } from './flags/device.js';
import { UsageError } from './usage-error.js';

/** What a job is planned for; `card` is null where that is a device of this machine. */
export interface PlanPlace {
  readonly target: NamedTarget;
  /** null: what inference takes. */
  readonly vramBytes: number | null;
  readonly card: PlannedCard | null;
}

/** A card that a plan was made for, as it is printed; rates are its data sheet's peaks. */
export type CardReport = {
  readonly name: string;
  readonly isEstimate: true;
} & PlannedCard['sheet'];

/**
 * Device and budget of a plan: those of `--card`, or those of `--device` and `--vram`.
 * @param vramBytes of `--vram`; null: it is not given
 * @throws UsageError for a device that is no card, or a budget above the card's memory
 */
export function planPlace(
  { device, threads, card: name }: DeviceValues & { readonly card?: CardName | undefined },
  vramBytes: number | null,
): PlanPlace {
  if (name === undefined) {
    return { target: deviceTarget(device, threads), vramBytes, card: null };
  }
  const card = plannedCard(name);
  assertCuda(name, device);
  assertOnCard(card, vramBytes);
  return { target: card.target, vramBytes: vramBytes ?? card.budgetBytes, card };
}

export function cardReport({ name, sheet }: PlannedCard): CardReport {
  return { name, isEstimate: true, ...sheet };
}

function assertCuda(card: CardName, device: string = 'auto'): void {
  if (device === 'auto' || /^cuda(:\d+)?$/.test(device)) return;
  throw new UsageError(`--card ${card} is planned for as a CUDA device, not as --device ${device}`);
}

function assertOnCard({ name, sheet }: PlannedCard, vramBytes: number | null): void {
  const { product, memoryBytes } = sheet;
  if (vramBytes === null || vramBytes <= memoryBytes) return;
  const [given, most] = [formatBytes(vramBytes), formatBytes(memoryBytes)];
  throw new UsageError(
    `--vram ${given} (${vramBytes} bytes) with --card ${name}: ${product} has ${most} (${memoryBytes} bytes)`,
  );
}
