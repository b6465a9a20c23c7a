import { quantizedFormats } from '@emloc/device';
import { factorsChoices } from '@emloc/emulator';

import { job } from './commands.js';
import { choice, choiceOrNumber, integer } from './kinds.js';
import { mostCounted } from './limits.js';

/** How emulators are made, and what of them is corrected. */
export const emulatorOptions = Object.freeze({
  calibrationRows: integer({
    default: 64,
    least: 1,
    flag: '--calibration <rows>',
    help: 'rows that the emulator is calibrated on; draws of image, noise and noise level for models that make pictures',
    commands: job,
    field: 'calibration_rows',
    mostServed: mostCounted,
  }),
  /** What factors are closest in: the layers' outputs, or what the loss makes of these. */
  emulatorMetric: choice({
    choices: ['output', 'loss'],
    default: 'output',
    flag: '--emulator-metric <metric>',
    help: "what the emulator is close in: each layer's output, or the loss, which takes a backward pass over the calibration rows",
    commands: job,
    field: 'emulator_metric',
  }),
  /** How factors are found; see `solverFor`. */
  factors: choice({
    choices: factorsChoices,
    default: 'auto',
    flag: '--factors <way>',
    help: 'how factors are found: exact solves the whole eigenproblem in float64, fast works in float32 and checks the error, auto takes what is cheaper',
    commands: job,
    field: 'factors',
  }),
  /** As what the weights that are trained on are held; `model`: in the device's own numbers. */
  storage: choice({
    choices: ['model', ...quantizedFormats],
    default: 'model',
    flag: '--storage <name>',
    help: "as what training holds the linear layers' frozen weights and factors: int8 or nf4, in blocks of codes that are made whole as a layer is used, or model: as they are",
    commands: job,
    field: 'storage',
  }),
  /** `auto` scores the candidates on the validation split; a number is the λ of the correction. */
  correction: choiceOrNumber({
    choices: ['auto', 'none'],
    default: 'auto',
    range: {
      expected: 'auto, none or a positive number',
      holds: (value) => value > 0 && Number.isFinite(value),
    },
    flag: '--correction <choice>',
    help: 'auto, none or a number (lambda)',
    commands: job,
    field: 'correction',
  }),
});
