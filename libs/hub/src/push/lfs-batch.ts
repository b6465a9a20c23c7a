import { cut, HubError } from '../errors.js';

interface BatchObject {
  readonly oid?: unknown;
  readonly size?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown };
  readonly actions?: { readonly upload?: BatchAction };
}

interface BatchAction {
  readonly href?: unknown;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Where the hub tells how large files are sent: one address each, or one for every part. */
export function isBatch(url: string): boolean {
  return new URL(url).pathname.endsWith('/info/lfs/objects/batch');
}

/**
 * Looks at the answer to a batch of Git LFS before anything is sent by it.
 * @param asked body of the request
 * @throws HubError HUB_PUSH_REFUSED for a file that is not taken, HUB_RESPONSE_INVALID for an
 * answer to something else, without an address or with parts that do not make the file
 */
export function assertBatch(model: string, asked: string, answer: unknown): void {
  const { objects: wanted } = JSON.parse(asked) as { readonly objects: readonly BatchObject[] };
  const sizes = new Map(wanted.map(({ oid, size }) => [oid, Number(size)]));
  const { objects } = Object(answer) as { readonly objects?: unknown };
  if (!Array.isArray(objects)) throw invalid(model, 'has no objects');
  for (const object of objects as readonly BatchObject[]) {
    const { oid, error } = object;
    const size = sizes.get(oid);
    if (size === undefined) throw invalid(model, 'is about a file that was not asked for');
    if (error) {
      const said = cut(`${String(error.code)}: ${String(error.message)}`);
      throw new HubError(
        'HUB_PUSH_REFUSED',
        `${model}: a file of ${size} bytes is refused (${said})`,
      );
    }
    assertAction(model, object.actions?.upload, size);
  }
  const answered = new Set((objects as readonly BatchObject[]).map(({ oid }) => oid));
  if (answered.size < sizes.size) throw invalid(model, 'is not about every file');
}

/** Without an action the hub has the file. */
function assertAction(model: string, action: BatchAction | undefined, size: number): void {
  if (action === undefined) return;
  const { href, header = {} } = action;
  const chunk = header['chunk_size'];
  const parts = Object.keys(header).filter((key) => /^\d+$/.test(key));
  const urls = [href, ...parts.map((part) => header[part])];
  if (!urls.every((url) => typeof url === 'string' && URL.canParse(url)))
    throw invalid(model, 'has an address that is none');
  if (chunk === undefined) return;
  const isWhole = Number(chunk) > 0 && parts.length === Math.ceil(size / Number(chunk));
  if (!isWhole) throw invalid(model, `has ${parts.length} parts for a file of ${size} bytes`);
}

function invalid(model: string, what: string): HubError {
  return new HubError('HUB_RESPONSE_INVALID', `${model}: the answer to what is to be sent ${what}`);
}
