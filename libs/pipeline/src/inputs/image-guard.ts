import { PipelineError } from '../errors.js';

const prefix = 'image ';

/** Whether this is the name of an image among the inputs of a job. */
export function isImageName(name: string): boolean {
  return name.startsWith(prefix);
}

/**
 * Sees to it that all runs of a job read the same images.
 * @param remember keeps the hash of an input under its name, and returns the first that was kept
 * @returns throws PipelineError PIPELINE_RESUME_MISMATCH for an image that is another one now
 */
export function guardImages(
  remember: (name: string, hash: string) => Promise<string>,
): (image: number, sha256: string) => Promise<void> {
  return async (image, sha256) => {
    if ((await remember(`${prefix}${image}`, sha256)) === sha256) return;
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `image ${image} of the rows has other contents than when the job read it before`,
    );
  };
}
