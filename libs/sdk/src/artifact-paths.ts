import { EmlocError } from './errors.js';
import type { Artifact } from './values.js';

/** Subfolder of an artifact's kind in a downloaded adapter's folder. */
const uncorrectedFolder = 'uncorrected';
const mergedFolder = 'merged';

/**
 * A relative path of a server as segments that stay inside the folder that they are joined to, on
 * every system.
 * @throws EmlocError SDK_PATH_UNSAFE
 */
function safeSegments(path: string): readonly string[] {
  const segments = path.split('/');
  const problem =
    problemOf(path) ?? segments.map(problemOfSegment).find((found) => found !== null) ?? null;
  if (problem !== null)
    throw new EmlocError(
      'SDK_PATH_UNSAFE',
      `artifact path ${JSON.stringify(path.slice(0, 200))}: ${problem}`,
    );
  return segments;
}

function problemOf(path: string): string | null {
  if (path === '') return 'it is empty';
  if (path.startsWith('/')) return 'it is absolute';
  if (path.length > 1024) return `it has ${path.length} characters`;
  // Separators, streams and wildcards of other systems, and what a terminal would act on.
  return /[\\:*?"<>|\x00-\x1f\x7f]/.test(path) ? 'it has a character that is not allowed' : null; // eslint-disable-line no-control-regex
}

function problemOfSegment(segment: string): string | null {
  if (segment === '' || segment === '.' || segment === '..')
    return `it has the segment ${JSON.stringify(segment)}`;
  if (Buffer.byteLength(segment) > 240) return 'a segment is too long';
  return segment.endsWith('.part') || segment.endsWith('.') || segment.endsWith(' ')
    ? `it has the segment ${JSON.stringify(segment)}`
    : null;
}

/** A file to download and where it belongs, as segments below the folder. */
export interface PlacedArtifact {
  readonly artifact: Artifact;
  readonly segments: readonly string[];
}

/**
 * What of a job is downloaded: the adapter's folder as `emloc tune` writes it, or the merged
 * checkpoint.
 */
export type Part = 'adapter' | 'merged';

/** Files without which a part is not there, of models that write text and of others. */
const essentialFiles: Readonly<Record<Part, readonly (readonly string[])[]>> = Object.freeze({
  adapter: [
    ['adapter_config.json', 'adapter_model.safetensors'],
    ['pytorch_lora_weights.safetensors'],
  ],
  // Of a model that makes pictures, the transformer may be a file of any name.
  merged: [['config.json'], ['vae/config.json']],
});

/**
 * The files of a part and their places.
 * @throws EmlocError SDK_PATH_UNSAFE for a path that leaves the folder or is there twice,
 * SDK_ARTIFACT_MISSING when the part is not whole
 */
export function placeArtifacts(
  artifacts: readonly Artifact[],
  { job, part }: { readonly job: string; readonly part: Part },
): readonly PlacedArtifact[] {
  const placed = artifacts.flatMap((artifact) => {
    const segments = placeOf(artifact, part);
    return segments ? [{ artifact, segments }] : [];
  });
  const paths = placed.map(({ segments }) => segments.join('/'));
  const seen = new Set<string>();
  for (const path of paths) {
    // File systems that ignore case would write one file over the other.
    if (seen.has(path.toLowerCase()))
      throw new EmlocError(
        'SDK_PATH_UNSAFE',
        `artifact path ${JSON.stringify(path)} is there twice`,
      );
    seen.add(path.toLowerCase());
  }
  assertWhole(paths, { job, part });
  return placed;
}

function assertWhole(
  paths: readonly string[],
  { job, part }: { readonly job: string; readonly part: Part },
): void {
  const missing = essentialFiles[part].map((files) =>
    files.filter((file) => !paths.includes(file)),
  );
  if (missing.some((files) => files.length === 0)) return;
  const described = missing.map((files) => files.join(' and no ')).join(', nor ');
  throw new EmlocError('SDK_ARTIFACT_MISSING', `${job} has no ${described}`);
}

function placeOf({ kind, path }: Artifact, part: Part): readonly string[] | null {
  if (part === 'merged')
    return kind === 'merged' ? without(mergedFolder, safeSegments(path)) : null;
  if (kind === 'merged' || kind === 'unknown') return null;
  const segments = safeSegments(path);
  return kind === 'uncorrected'
    ? [uncorrectedFolder, ...without(uncorrectedFolder, segments)]
    : segments;
}

/** Paths may or may not begin with the folder of their kind. */
function without(folder: string, segments: readonly string[]): readonly string[] {
  return segments[0] === folder && segments.length > 1 ? segments.slice(1) : segments;
}
