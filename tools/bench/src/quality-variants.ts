import type { TuneOptions } from '@emloc/pipeline';

/** One way to fine-tune, and what it has to reach. */
export interface QualityVariant {
  readonly name: string;
  readonly options: Pick<TuneOptions, 'ratios'> &
    Partial<Pick<TuneOptions, 'correction' | 'refineSteps' | 'anchorSteps' | 'anchorRows'>>;
  /** What `--levels` says for so many steps, in place of them; absent: there is one emulator. */
  readonly levels?: (steps: number) => string;
  /** Least share of full LoRA's gain; null: none is asked for. */
  readonly target: number | null;
}

/** The first is the reference that the others are shares of. */
export const qualityVariants: readonly QualityVariant[] = Object.freeze([
  { name: 'full LoRA (ratio 1)', options: { ratios: ['1'] }, target: null },
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

/** As many passes over the original, of as many rows: on the way as anchors, or at the end. */
function passesOf(ratio: number): readonly QualityVariant[] {
  const emulated = (steps: number): string => `${ratio}:${steps}`;
  const variant = (
    name: string,
    options: Omit<QualityVariant['options'], 'ratios'>,
    levels = emulated,
  ): QualityVariant => ({
    name: `ratio ${ratio}, ${name}`,
    options: { ratios: [], ...options },
    levels,
    target: null,
  });
  return [
    variant('no pass', {}),
    variant(
      'passes at the end',
      {},
      (steps) => `${emulated(steps)},1:${Math.ceil(steps / 10)}x${passRows}`,
    ),
    variant('anchors', { anchorSteps: 10, anchorRows: passRows }),
  ];
}

/** The first is the reference, as above. */
export const anchorVariants: readonly QualityVariant[] = Object.freeze([
  { name: 'full LoRA (ratio 1)', options: { ratios: ['1'] }, target: null },
  ...[0.1, 0.25, 0.5].flatMap(passesOf),
]);
