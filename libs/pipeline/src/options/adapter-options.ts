import { parseRatioRules } from '@emloc/emulator';

import { assertRegExp } from './checks.js';
import { job } from './commands.js';
import { choice, flagged, integer, number, positiveFinite, text, texts } from './kinds.js';
import { parseLevels, stepsOf } from './levels.js';
import { methods } from './method.js';

/** What is trained: on what, and an adapter of which shape. */
export const adapterOptions = Object.freeze({
  /** null: what ratios or levels say, or one emulator. */
  method: choice({
    choices: ['auto', ...methods],
    default: null,
    flag: '--method <name>',
    help: 'what is trained on: emulator (alone: levels that a plan decides), paged or resident (plain LoRA on the original, with its blocks streamed or all on the device), or auto: the fastest to equal quality (default: what --ratio or --levels say)',
    commands: job,
    field: 'method',
  }),
  /** `PATTERN=ratio` in order, or a bare ratio; empty: 0.5 where a job has one emulator. */
  ratios: texts({
    default: Object.freeze([]),
    check: (_name, ratios) => void parseRatioRules(ratios),
    flag: '--ratio <ratio>',
    help: "emulator size: 0.5, or 'PATTERN=0.4' (repeatable, first match wins); 1 is plain LoRA (default: 0.5)",
    commands: job,
    field: 'ratios',
  }),
  /** null: one emulator, at `ratios`. See parseLevels. */
  levels: text({
    default: null,
    check: (name, value) => void parseLevels(name, value),
    flag: '--levels <levels>',
    help: 'training from coarse to fine, as RATIO:STEPS of each level: 0.25:200,0.5:60,1:30x64; x64 is its own rows per batch, 1 the original',
    commands: job,
    field: 'levels',
    countsSteps: (value) => stepsOf(parseLevels('levels', value)),
  }),
  /** null: 8; 4 for models that make pictures. */
  rank: integer({
    default: null,
    least: 1,
    flag: '--rank <n>',
    help: 'LoRA rank (default: 8; 4 for models that make pictures)',
    commands: job,
    field: 'rank',
    mostServed: 65_536,
  }),
  /** null: 16; 8 for models that take images, 4 for those that make them. */
  alpha: number({
    default: null,
    range: positiveFinite,
    flag: '--alpha <x>',
    help: 'LoRA alpha (default: 16; 8 for models that take images, 4 for those that make them)',
    commands: job,
    field: 'alpha',
  }),
  useRslora: flagged({
    default: false,
    flag: '--rslora',
    help: 'scale by alpha / sqrt(rank)',
    commands: job,
    field: 'use_rslora',
  }),
  /** Magnitude and direction apart (arXiv 2402.09353); on the original alone. */
  useDora: flagged({
    default: false,
    of: 'text',
    flag: '--dora',
    help: 'DoRA: the norm of each row of a weight is trained, too; with --method paged or resident only',
    commands: job,
    field: 'use_dora',
  }),
  /** Regular expression over whole module paths; null: those of the kind of model. */
  targets: text({
    default: null,
    check: assertRegExp,
    flag: '--targets <pattern>',
    help: 'regular expression over whole module paths (default: all linear layers of the blocks; of models that make pictures attention and feed-forward, as diffusers does)',
    commands: job,
    field: 'targets',
  }),
});
