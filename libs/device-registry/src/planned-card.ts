import { DeviceError } from '@emloc/device';
import { cudaProfile, defaultReserveBytes } from '@emloc/device-cuda';

import { cardRates } from './card-rates.js';
import { cardSheets, type CardName, type CardSheet } from './card-sheets.js';
import type { NamedTarget } from './device-target.js';

/** Of the rate of bfloat16: 1/29 or more on cards of data centers, 1/128 on others. */
const fastFloat64Share = 1 / 50;

/** As `launchOperationsOf` has it for an H100. */
const launchSeconds = 8.1e-6;

/** A card that is planned for and never opened. */
export interface PlannedCard {
  readonly name: CardName;
  readonly sheet: CardSheet;
  /** Its profile and rates; `open` is refused. */
  readonly target: NamedTarget;
  /** What a job can count on beside a driver that takes what the reserve was measured to be. */
  readonly budgetBytes: number;
}

/** The card of this name as its maker describes it, with the CUDA device's memory behaviour. */
export function plannedCard(name: CardName): PlannedCard {
  const sheet: CardSheet = cardSheets[name];
  const problem = `${sheet.product} is planned for from its data sheet, and not there`;
  return {
    name,
    sheet,
    budgetBytes: sheet.reportedBytes - defaultReserveBytes,
    target: {
      name: `card:${name}`,
      profile: cudaProfile({
        name: 'cuda',
        hasFastFloat64: sheet.float64FlopsPerSecond > fastFloat64Share * sheet.flopsPerSecond,
        launchOperations: sheet.flopsPerSecond * launchSeconds,
      }),
      description: `cuda, ${sheet.product}, planned`,
      problem,
      ratesElsewhere: cardRates(sheet),
      open: async () => {
        throw new DeviceError('DEVICE_UNAVAILABLE', problem);
      },
    },
  };
}
