import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { at } from '@emloc/checked';

import { assertCommit, assertPreupload, readBatch, type CommitLine } from './push-requests.js';
import { largeBytes, treeEntry } from './served-files.js';

/** A repository that is pushed to. */
interface PushedRepository {
  isPrivate: boolean;
  /** Contents by path, by branch. */
  readonly branches: Map<string, Map<string, Buffer>>;
  readonly commits: { readonly branch: string; readonly summary: string; readonly oid: string }[];
}

/** A request as it arrived; paths without queries. */
interface PushRequest {
  readonly server: 'hub' | 'storage';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly bytes: number;
}

interface Arrived extends PushRequest {
  readonly url: URL;
  readonly body: Buffer;
  readonly contentType: string | null;
}

/** Done in place of an answer, once each. */
interface PushDisturbance {
  /** Part of `METHOD PATH`. */
  readonly at: string;
  /** Answers so. */
  readonly status?: number;
  /** Called when the request is there, before it is answered as usual. */
  before?(): void;
  /** Carries out what is asked for, and breaks the connection in place of the answer. */
  readonly loseAnswer?: boolean;
}

/** Refuses what a hub would refuse, with status and words. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const repository = /^\/api\/models\/([^/]+\/[^/]+)\/([^/]+)\/([^/]+)$/;
const batch = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/;

/**
 * Two servers on free ports that play a hub that is written to: what it holds, and the storage of
 * large files, which takes no token and only what was announced.
 */
export class PushServer {
  readonly token = 'hf_writer';
  /** Files of more bytes go to the storage in parts of so many. */
  partBytes = 4000;
  readonly repositories = new Map<string, PushedRepository>();
  /** Names that are there, and not for this account. */
  readonly taken = new Set<string>();
  readonly requests: PushRequest[] = [];
  readonly disturbances: PushDisturbance[] = [];
  /** Large files by their SHA-256. */
  readonly stored = new Map<string, Buffer>();
  readonly #announced = new Map<string, number>();
  readonly #parts = new Map<string, Buffer>();
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor() {
    this.#hub = createServer((request, response) => void this.#serve('hub', request, response));
    this.#storage = createServer(
      (request, response) => void this.#serve('storage', request, response),
    );
  }

  static async start(): Promise<PushServer> {
    const server = new PushServer();
    await Promise.all([server.#hub, server.#storage].map(listen));
    return server;
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  /** What a branch has. */
  files(name: string, branch = 'main'): Record<string, string> {
    const files = this.repositories.get(name)?.branches.get(branch) ?? new Map<string, Buffer>();
    return Object.fromEntries([...files].map(([path, bytes]) => [path, bytes.toString('latin1')]));
  }

  /** Requests as `METHOD PATH`, in order. */
  asked(server: PushRequest['server'], method: string): string[] {
    return this.requests
      .filter((request) => request.server === server && request.method === method)
      .map(({ path }) => path);
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      const closed = new Promise((resolve) => server.close(resolve));
      // Those that came before it stopped listening, too.
      server.closeAllConnections();
      await closed;
    }
  }

  async #serve(
    server: PushRequest['server'],
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const body = await readBody(request);
    if (body === null) return;
    const url = new URL(request.url ?? '/', 'http://localhost');
    const arrived = {
      ...{ server, method: request.method ?? '', path: url.pathname, url, body },
      authorization: request.headers.authorization ?? null,
      contentType: request.headers['content-type'] ?? null,
      bytes: body.length,
    };
    this.requests.push(arrived);
    const disturbance = this.#disturbanceOf(arrived);
    disturbance?.before?.();
    try {
      if (disturbance?.status !== undefined) throw new Refusal(disturbance.status, 'disturbed');
      if (server === 'hub' && request.headers['transfer-encoding'] !== undefined)
        throw new Refusal(411, 'a length is needed');
      const answer = server === 'hub' ? this.#ofHub(arrived) : this.#ofStorage(arrived, request);
      if (disturbance?.loseAnswer) return void response.destroy();
      response
        .writeHead(200, { 'content-type': 'application/json', ...answer.headers })
        .end(JSON.stringify(answer.json));
    } catch (error) {
      const { status = 500, message, code } = error as Refusal & { code?: string };
      const headers = code === undefined ? {} : { 'x-error-code': code };
      response.writeHead(status, { 'x-error-message': message, ...headers }).end();
    }
  }

  #disturbanceOf({ method, path }: PushRequest): PushDisturbance | undefined {
    const index = this.disturbances.findIndex((one) => `${method} ${path}`.includes(one.at));
    return index < 0 ? undefined : this.disturbances.splice(index, 1)[0];
  }

  #ofHub(arrived: Arrived): Answer {
    const { method, path, authorization } = arrived;
    if (method === 'POST' && path === '/complete') return this.#complete(arrived);
    if (authorization !== `Bearer ${this.token}`) throw new Refusal(401, 'Invalid credentials');
    if (method === 'POST' && path === '/api/repos/create') return this.#create(arrived);
    const name = batch.exec(path)?.[1];
    if (name !== undefined) return this.#batch(name, arrived);
    const asked = repository.exec(path);
    if (asked === null) throw new Refusal(404, 'no such page');
    const found = this.#find(at(asked, 1));
    const [action, branch] = [at(asked, 2), decodeURIComponent(at(asked, 3))];
    return method === 'GET'
      ? this.#read(found, { action, revision: branch, name: at(asked, 1) })
      : this.#write(found, { action, branch }, arrived);
  }

  #create({ body }: Arrived): Answer {
    const { name, organization, visibility, type } = JSON.parse(body.toString()) as Record<
      string,
      string
    >;
    const full = `${organization}/${name}`;
    if (type !== 'model' || !['public', 'private'].includes(visibility ?? ''))
      throw new Refusal(400, 'a type and a visibility are needed');
    if (organization !== 'owner') throw new Refusal(403, `You don't have the rights for ${full}`);
    if (this.taken.has(full) || this.repositories.has(full))
      throw new Refusal(409, 'You already created this model repo');
    const first = new Map([['.gitattributes', Buffer.from('*.safetensors filter=lfs')]]);
    this.repositories.set(full, {
      isPrivate: visibility === 'private',
      branches: new Map([['main', first]]),
      commits: [],
    });
    return { json: { url: `${this.endpoint}/${full}`, id: full } };
  }

  #find(name: string): PushedRepository {
    const found = this.repositories.get(name);
    if (found) return found;
    throw Object.assign(new Refusal(404, 'Repository not found'), { code: 'RepoNotFound' });
  }

  #read(
    found: PushedRepository,
    { action, revision, name }: { action: string; revision: string; name: string },
  ): Answer {
    const branches = [...found.branches.keys()];
    const branch =
      revision === 'HEAD'
        ? 'main'
        : branches.find((one) => [one, commitId(one, found)].includes(revision));
    const files = branch === undefined ? undefined : found.branches.get(branch);
    if (branch === undefined || files === undefined)
      throw Object.assign(new Refusal(404, 'no such revision'), { code: 'RevisionNotFound' });
    if (action === 'revision')
      return {
        json: { _id: '1', id: name, private: found.isPrivate, sha: commitId(branch, found) },
      };
    if (action !== 'tree') throw new Refusal(404, 'no such page');
    return { json: [...files].map(([path, bytes]) => treeEntry(path, bytes)) };
  }

  #write(
    found: PushedRepository,
    { action, branch }: { action: string; branch: string },
    arrived: Arrived,
  ): Answer {
    if (action === 'branch') {
      if (found.branches.has(branch)) throw new Refusal(409, 'Reference already exists');
      found.branches.set(branch, new Map(found.branches.get('main')));
      return { json: {} };
    }
    const files = found.branches.get(branch);
    if (!files) throw new Refusal(404, 'no such branch');
    if (action === 'preupload') {
      const asked = assertPreupload(JSON.parse(arrived.body.toString()));
      const mode = (size: number): string => (size >= largeBytes ? 'lfs' : 'regular');
      return { json: { files: asked.map(({ path, size }) => ({ path, uploadMode: mode(size) })) } };
    }
    if (action !== 'commit') throw new Refusal(404, 'no such page');
    const { summary, lines } = assertCommit(arrived.body.toString(), arrived.contentType);
    for (const line of lines) files.set(line.path, this.#contentsOf(line));
    const oid = createHash('sha1').update(`${branch} ${found.commits.length}`).digest('hex');
    found.commits.push({ branch, summary, oid });
    return { json: { success: true, commitOid: oid, commitUrl: `${this.endpoint}/commit/${oid}` } };
  }

  #contentsOf(line: CommitLine): Buffer {
    if (line.kind === 'file') return line.contents;
    const stored = this.stored.get(line.oid);
    if (stored?.length === line.size) return stored;
    throw new Refusal(422, `LFS pointer of ${line.path} points to a file that does not exist`);
  }

  #batch(name: string, { body, contentType }: Arrived): Answer {
    this.#find(name);
    const objects = readBatch(JSON.parse(body.toString()), contentType).map(({ oid, size }) => {
      if (this.stored.get(oid)?.length === size) return { oid, size };
      this.#announced.set(oid, size);
      return { oid, size, actions: { upload: this.#upload(oid, size) } };
    });
    return { json: { transfer: 'basic', objects } };
  }

  #upload(oid: string, size: number): unknown {
    const { partBytes } = this;
    const storage = addressOf(this.#storage);
    if (size <= partBytes) return { href: `${storage}/${oid}?Signature=secret` };
    const numbers = Array.from(
      { length: Math.ceil(size / partBytes) },
      (_none, index) => index + 1,
    );
    const parts = numbers.map((number) => [
      String(number).padStart(5, '0'),
      `${storage}/${oid}/${number}?Signature=secret`,
    ]);
    return {
      href: `${this.endpoint}/complete?Signature=secret`,
      header: { chunk_size: String(partBytes), ...Object.fromEntries(parts) },
    };
  }

  #ofStorage(
    { method, path, authorization, url, body }: Arrived,
    request: IncomingMessage,
  ): Answer {
    if (authorization !== null) throw new Refusal(400, 'Only one auth mechanism allowed');
    if (method !== 'PUT' || url.searchParams.get('Signature') !== 'secret')
      throw new Refusal(403, 'SignatureDoesNotMatch');
    if (Number(request.headers['content-length']) !== body.length)
      throw new Refusal(411, 'MissingContentLength');
    const place = path.slice(1);
    if (place.includes('/')) this.#parts.set(place, body);
    else this.#keep(place, body);
    return { json: {}, headers: { etag: etagOf(body) } };
  }

  #complete({ body }: Arrived): Answer {
    const { oid, parts } = JSON.parse(body.toString()) as {
      oid: string;
      parts: { partNumber: number; etag: string }[];
    };
    const contents = parts.map(({ partNumber, etag }, index) => {
      const part = this.#parts.get(`${oid}/${partNumber}`);
      if (partNumber !== index + 1 || part === undefined || etag !== etagOf(part))
        throw new Refusal(400, `part ${partNumber} is not what was sent`);
      return part;
    });
    this.#keep(oid, Buffer.concat(contents));
    return { json: { success: true } };
  }

  #keep(oid: string, contents: Buffer): void {
    const isAnnounced = this.#announced.get(oid) === contents.length;
    const hash = createHash('sha256').update(contents).digest('hex');
    if (!isAnnounced || hash !== oid) throw new Refusal(400, 'XAmzContentSHA256Mismatch');
    this.stored.set(oid, contents);
  }
}

interface Answer {
  readonly json: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The last commit of a branch; of one that has none, a hash of its name. */
function commitId(branch: string, { commits }: PushedRepository): string {
  const last = commits.findLast((commit) => commit.branch === branch);
  return last?.oid ?? createHash('sha1').update(branch).digest('hex');
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

/** Null: the connection broke before its end. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return null;
  }
  return Buffer.concat(parts);
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
