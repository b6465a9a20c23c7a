/** What is asked to be committed. */
export type CommitLine =
  | { readonly kind: 'file'; readonly path: string; readonly contents: Buffer }
  | { readonly kind: 'lfs'; readonly path: string; readonly oid: string; readonly size: number };

interface Announced {
  readonly path: string;
  readonly size: number;
}

/** A request that is not what a hub takes. */
function refuse(message: string): never {
  throw Object.assign(new Error(message), { status: 400 });
}

/** Paths, sizes and samples of all files. */
export function assertPreupload(body: unknown): readonly Announced[] {
  const { files } = body as { files: (Announced & { sample: string })[] };
  for (const { path, size, sample } of files) {
    const sampled = Buffer.from(sample, 'base64').length;
    if (typeof path !== 'string' || sampled !== Math.min(512, size))
      refuse(`${path}: ${sampled} bytes of a sample of ${size}`);
  }
  return files;
}

/** The hashes and sizes of large files. */
export function readBatch(
  body: unknown,
  contentType: string | null,
): readonly { readonly oid: string; readonly size: number }[] {
  const { operation, transfers, objects } = body as {
    operation: string;
    transfers: string[];
    objects: { oid: string; size: number }[];
  };
  if (contentType !== 'application/vnd.git-lfs+json') refuse(`content type ${contentType}`);
  if (operation !== 'upload' || transfers.join() !== 'basic,multipart')
    refuse(`${operation} by ${transfers.join()}`);
  for (const { oid, size } of objects)
    if (!/^[0-9a-f]{64}$/.test(oid) || !Number.isSafeInteger(size)) refuse(`object ${oid}`);
  return objects;
}

/** A header, then a line for every file. */
export function assertCommit(
  body: string,
  contentType: string | null,
): { readonly summary: string; readonly lines: readonly CommitLine[] } {
  if (contentType !== 'application/x-ndjson') refuse(`content type ${contentType}`);
  const [header, ...lines] = body
    .split('\n')
    .map((line) => JSON.parse(line) as { key: string; value: Record<string, unknown> });
  const summary = header?.value['summary'];
  if (header?.key !== 'header' || typeof summary !== 'string' || summary === '')
    return refuse('the first line is no header with a summary');
  return { summary, lines: lines.map(toLine) };
}

function toLine({ key, value }: { key: string; value: Record<string, unknown> }): CommitLine {
  const path = String(value['path']);
  if (key === 'file' && value['encoding'] === 'base64')
    return { kind: 'file', path, contents: Buffer.from(String(value['content']), 'base64') };
  if (key === 'lfsFile' && value['algo'] === 'sha256')
    return { kind: 'lfs', path, oid: String(value['oid']), size: Number(value['size']) };
  return refuse(`a line of ${key}`);
}
