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

/**
 * As many passes over the original, of as many rows, as anchors on the way, at the end, or in halves: a
 * tenth of the steps in all.
 */
function passesOf(ratio: number): readonly QualityVariant[] {
  const end = (share: number) => (steps: number) =>
    `${ratio}:${steps},1:${Math.round(share * steps)}x${passRows}`;
  const anchors = (anchorSteps: number) => ({ ratios: [], anchorSteps, anchorRows: passRows });
  const of = (name: string, variant: Omit<QualityVariant, 'name' | 'target'>): QualityVariant => ({
    ...{ name: `ratio ${ratio}, ${name}`, target: null },
    ...variant,
  });
  return [
    of('no pass', { options: { ratios: [] }, levels: (steps) => `${ratio}:${steps}` }),
    of('passes at the end', { options: { ratios: [] }, levels: end(0.1) }),
    of('anchors', { options: anchors(10), levels: (steps) => `${ratio}:${steps}` }),
    of('half of each', { options: anchors(20), levels: end(0.05) }),
  ];
}

/** The first is the reference, as above. */
export const anchorVariants: readonly QualityVariant[] = Object.freeze([
  { name: 'full LoRA (ratio 1)', options: { ratios: ['1'] }, target: null },
  ...[0.1, 0.25, 0.5].flatMap(passesOf),
]);
