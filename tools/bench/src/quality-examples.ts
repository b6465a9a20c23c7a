import {
  anchorVariants,
  mathVariants,
  qualityVariants,
  type QualityVariant,
} from './quality-variants.js';

/** An example that quality is measured on. */
export interface QualityExample {
  /** The base model's folder, from the repository root. */
  readonly model: string;
  readonly train: string;
  readonly test: string;
  /** What all runs have in common beside budget, steps and rate. */
  readonly options: {
    readonly batch: number;
    readonly rank: number;
    readonly alpha: number;
    readonly maxLength: number;
  };
  /** The first is the reference. */
  readonly variants: readonly QualityVariant[];
  /** Defaults of the command's flags; limit counts test rows. */
  readonly flags: { readonly steps: number; readonly lr: number; readonly limit: number };
}

const text: QualityExample = {
  model: 'examples/models/demo-5m',
  train: 'examples/data/train.jsonl',
  test: 'examples/data/test.jsonl',
  options: { batch: 8, rank: 8, alpha: 16, maxLength: 128 },
  variants: qualityVariants,
  flags: { steps: 200, lr: 3e-3, limit: 300 },
};

export const qualityExamples: Readonly<Record<string, QualityExample>> = Object.freeze({
  text,
  anchors: { ...text, variants: anchorVariants },
  images: {
    model: 'examples/images/model',
    train: 'examples/images/data/train.jsonl',
    test: 'examples/images/data/test.jsonl',
    options: { batch: 8, rank: 8, alpha: 8, maxLength: 128 },
    variants: [
      ...qualityVariants,
      {
        name: 'ratio 0.25, correction auto, no refinement',
        options: { ratios: ['0.25'], correction: 'auto', refineSteps: 0 },
        target: null,
      },
    ],
    flags: { steps: 600, lr: 3e-3, limit: 200 },
  },
});

/** A model of one's own, measured as the one on word problems is. */
export function ownExample({
  model,
  train,
  test,
}: Pick<QualityExample, 'model' | 'train' | 'test'>): QualityExample {
  return {
    ...{ model, train, test, variants: mathVariants },
    options: { batch: 16, rank: 8, alpha: 16, maxLength: 512 },
    flags: { steps: 300, lr: 2e-3, limit: 256 },
  };
}

/** @throws Error naming the examples that there are */
export function qualityExample(name: string): QualityExample {
  const example = Object.hasOwn(qualityExamples, name) ? qualityExamples[name] : undefined;
  if (example) return example;
  throw new Error(`--example ${name}: one of ${Object.keys(qualityExamples).join(', ')} expected`);
}
