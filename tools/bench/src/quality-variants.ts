import { at } from '@emloc/checked';
import { equalLevels, type TuneOptions } from '@emloc/pipeline';

/** Options of `emloc tune` that a row may set. */
type RowOptions = {
  readonly [K in keyof Omit<TuneOptions, 'model' | 'data' | 'out'>]?: TuneOptions[K] | null;
};

/** What a row's steps are made from. */
interface RowLength {
  /** Of plain LoRA. */
  readonly steps: number;
  /** Rows of a step. */
  readonly batch: number;
  /** Rows that there are to train on. */
  readonly rows: number;
}

/** One way to fine-tune, and what it has to reach. */
export interface QualityVariant {
  readonly name: string;
  readonly options: RowOptions;
  /** What `--levels` says, in place of steps; absent: there is one emulator. */
  readonly levels?: (length: RowLength) => string;
  /** Least share of full LoRA's gain; null: none is asked for. */
  readonly target: number | null;
}

const fullLora: QualityVariant = Object.freeze({
  name: 'full LoRA (ratio 1)',
  options: { ratios: ['1'] },
  target: null,
});

/** The first is the reference that the others are shares of. */
export const qualityVariants: readonly QualityVariant[] = Object.freeze([
  fullLora,
  {
    name: 'ratio 0.5, correction auto, no refinement',
    options: { ratios: ['0.5'], correction: 'auto', refineSteps: 0 },
    target: 0.8,
  },
  { name: 'ratio 0.5, default refinement', options: { ratios: ['0.5'] }, target: 0.92 },
  { name: 'ratio 0.25, default refinement', options: { ratios: ['0.25'] }, target: 0.85 },
]);

/** Rows of a pass over the original where anchors are compared with what they cost. */
const passRows = 32;

/** A row of one emulator whose steps are a level, so that nothing follows that is not said. */
function oneLevel(
  ratio: number,
  name: string,
  {
    options = {},
    target = null,
    end,
  }: {
    readonly options?: RowOptions;
    readonly target?: number | null;
    /** The level on the original, by the steps. */
    readonly end?: (steps: number) => string;
  } = {},
): QualityVariant {
  return {
    name: `ratio ${ratio}, ${name}`,
    options: { ratios: [], ...options },
    levels: ({ steps }) => [`${ratio}:${steps}`, ...(end ? [end(steps)] : [])].join(','),
    target,
  };
}

/** As many passes over the original, of as many rows: on the way as anchors, or at the end. */
function passesOf(ratio: number): readonly QualityVariant[] {
  return [
    oneLevel(ratio, 'no pass'),
    oneLevel(ratio, 'passes at the end', {
      end: (steps) => `1:${Math.ceil(steps / 10)}x${passRows}`,
    }),
    oneLevel(ratio, 'anchors', { options: { anchorSteps: 10, anchorRows: passRows } }),
  ];
}

/** The first is the reference, as above. */
export const anchorVariants: readonly QualityVariant[] = Object.freeze([
  fullLora,
  ...[0.1, 0.25, 0.5].flatMap(passesOf),
]);

/** Least shares with 300 steps on one emulator and 30 passes over the original, by its ratio. */
const shares = Object.freeze({ '0.5': 0.965, '0.25': 0.935, '0.1': 0.9 });

/** The paper's way, its passes at the end, and as anchors: one for every tenth step. */
function mathRowsAt([ratio, target]: readonly [string, number]): readonly QualityVariant[] {
  const [r, tenth] = [Number(ratio), (steps: number): number => Math.ceil(steps / 10)];
  return [
    {
      name: `ratio ${r}, the paper's way`,
      options: { ratios: [ratio], correction: 3, refineSteps: 0 },
      target: null,
    },
    { name: `ratio ${r}, default refinement`, options: { ratios: [ratio] }, target },
    oneLevel(r, 'passes at the end', { target, end: (steps) => `1:${tenth(steps)}x64` }),
    oneLevel(r, 'anchors', { target, options: { anchorSteps: 10, anchorRows: 64 } }),
  ];
}

/**
 * Levels that equal plain LoRA's steps.
 * @param pair of emulators, 0 for the finest
 */
function equalQuality(name: string, pair: number, batches: 'usual' | 'large'): QualityVariant {
  return {
    name,
    options: { ratios: [] },
    levels: ({ steps, ...length }) => {
      const chosen = at(equalLevels(steps, length), pair)[batches];
      if (chosen === null)
        throw new Error(`${name}: ${steps} steps have no levels that equal them`);
      return chosen;
    },
    target: null,
  };
}

/** What a user must know of a model: the paper's way and ours beside plain LoRA. */
export const mathVariants: readonly QualityVariant[] = Object.freeze([
  fullLora,
  ...Object.entries(shares).flatMap(mathRowsAt),
  equalQuality('method emulator', 0, 'usual'),
  equalQuality('method emulator, large batches', 0, 'large'),
  equalQuality('method emulator, smaller emulators, large batches', 1, 'large'),
  equalQuality('method emulator, smallest emulators, large batches', 2, 'large'),
]);

/**
 * A row of one's own, as JSON: `{"name": "...", "options": {...}, "target": 0.9}`, the options as
 * the configuration file has them.
 * @throws Error where it is none
 */
export function parseRow(text: string): QualityVariant {
  const value: unknown = JSON.parse(text);
  const isObject = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each);
  if (!isObject(value) || typeof value['name'] !== 'string' || !isObject(value['options']))
    throw new Error(`--row ${text}: {"name": "...", "options": {...}} expected`);
  const { name, options, target } = value;
  const { levels, ...others } = options as RowOptions;
  return {
    name,
    options: others,
    ...(typeof levels === 'string' ? { levels: () => levels } : {}),
    target: typeof target === 'number' ? target : null,
  };
}
