import type { JobOptions } from '../job/job.js';

/** What emloc.json remembers of how pictures became what was learned from. */
export function pictureRecordOf(options: JobOptions) {
  const { resolution, crop, flip, buckets, instancePrompt, classPrompt, priorWeight } = options;
  const { noiseScheme, logitMean, logitStd, modeScale, noiseShift } = options;
  const { lossWeighting, trainGuidance, optimizer } = options;
  return {
    ...{ resolution, crop, flip, buckets, instancePrompt, classPrompt, priorWeight },
    noise: { scheme: noiseScheme, logitMean, logitStd, modeScale, shift: noiseShift },
    ...{ lossWeighting, guidance: trainGuidance, optimizer },
  };
}
