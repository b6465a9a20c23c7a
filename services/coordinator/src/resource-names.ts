import { RpcError } from '@emloc/rpc';

/** What stands for `/` in the last segment of an artifact's name. */
const separator = '~';

/** `jobs/{job}/artifacts/{artifact}` of a file at a relative path. */
export function artifactName(job: string, path: string): string {
  return `jobs/${job}/artifacts/${path.replaceAll('/', separator)}`;
}

/** The identifier in `jobs/{job}`. @throws RpcError INVALID_ARGUMENT */
export function parseJobName(name: string, field = 'name'): string {
  const id = /^jobs\/([a-z0-9]{1,64})$/.exec(name)?.[1];
  if (id === undefined) throw malformed(field, 'jobs/{job}');
  return id;
}

/** @throws RpcError INVALID_ARGUMENT */
export function parseArtifactName(name: string): { job: string } {
  const job = /^jobs\/([a-z0-9]{1,64})\/artifacts\/[\w.~-]{1,1024}$/.exec(name)?.[1];
  if (job === undefined) throw malformed('name', 'jobs/{job}/artifacts/{artifact}');
  return { job };
}

/** `datasets/{dataset}`; a data set's identifier is the hash of its bytes. */
export function datasetName(sha256: string): string {
  return `datasets/${sha256}`;
}

/** The hash in `datasets/{dataset}`; undefined: it is no such name. */
export function sha256OfDataset(name: string): string | undefined {
  return /^datasets\/([0-9a-f]{64})$/.exec(name)?.[1];
}

export function jobNotFound(id: string): RpcError {
  return new RpcError('NOT_FOUND', `jobs/${id} was not found`, { reason: 'JOB_NOT_FOUND' });
}

function malformed(field: string, form: string): RpcError {
  const description = `must have the form ${form}`;
  return new RpcError('INVALID_ARGUMENT', `${field}: ${description}`, {
    reason: 'INVALID_REQUEST',
    fieldViolations: [{ field, description }],
  });
}
