import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { at } from '@emloc/checked';
import { systemClock } from '@emloc/time';

import { hashOf, largeBytes, treeEntry } from './served-files.js';

/** A repository that the server has. */
export interface ServedModel {
  /** OWNER/NAME. */
  readonly name: string;
  /** Contents by path, at one commit. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Commits by branch and tag; default: the commit of the files, on `main`. */
  readonly refs?: Readonly<Record<string, string>>;
  readonly commit?: string;
  /** Who may not read it: `gated` needs an account with access, `private` a token. */
  readonly access?: 'gated' | 'private';
}

/** What the server does in place of its answer, or to it. */
export interface Disturbance {
  /** Part of the path and query of the request. */
  readonly at: string;
  /** How often; default: once. */
  times?: number;
  /** Answers so. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the connection after so many bytes of the body. */
  readonly cutAfterBytes?: number;
  /** Falls silent after so many bytes of the body. */
  readonly stallAfterBytes?: number;
  /** Flips a bit of the body. */
  readonly damage?: boolean;
  /** Answers ranges with the whole file. */
  readonly ignoreRange?: boolean;
  /** A body of its own. */
  readonly body?: string;
}

/** A request as it arrived. */
export interface SeenRequest {
  /** `hub`, or `files` for the second server, which has the large files. */
  readonly server: 'hub' | 'files';
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
  readonly ifRange: string | null;
}

/** The token that opens private models, and the one that opens gated ones, too. */
export const hubTokens = Object.freeze({ account: 'hf_account', licensed: 'hf_licensed' });

export const defaultCommit = '0123456789abcdef0123456789abcdef01234567';

const filesPerPage = 3;

/** /api/models/OWNER/NAME/ACTION/REVISION */
const apiPath = /^\/api\/models\/([^/]+\/[^/]+)\/([^/]+)\/([^/]+)$/;
/** /OWNER/NAME/resolve/REVISION/PATH */
const filePath = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/;

interface ApiRequest {
  readonly name: string;
  readonly action: string;
  readonly revision: string;
  readonly url: URL;
}

/**
 * Two servers on free ports that play a hub: its pages of listings, its redirects of large files to
 * another host, its refusals.
 */
export class HubServer {
  readonly requests: SeenRequest[] = [];
  readonly disturbances: Disturbance[] = [];
  readonly #models = new Map<string, ServedModel>();
  readonly #hub: Server;
  readonly #files: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#serve('hub', request, response));
    this.#files = createServer((request, response) => this.#serve('files', request, response));
  }

  static async start(...models: readonly ServedModel[]): Promise<HubServer> {
    const server = new HubServer();
    for (const model of models) server.serve(model);
    await Promise.all([listen(server.#hub), listen(server.#files)]);
    return server;
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  serve(model: ServedModel): void {
    this.#models.set(model.name, model);
  }

  /** Paths that were asked for, without queries, in order. */
  pathsOf(server: SeenRequest['server']): string[] {
    return this.requests
      .filter((request) => request.server === server)
      .map(({ path }) => path.replace(/\?.*$/, ''));
  }

  async close(): Promise<void> {
    await Promise.all([this.#hub, this.#files].map(closeServer));
  }

  #serve(server: SeenRequest['server'], request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '/';
    const { authorization = null, range = null } = request.headers;
    const ifRange = request.headers['if-range'] ?? null;
    this.requests.push({
      server,
      method: request.method ?? '',
      path,
      authorization,
      range,
      ifRange: typeof ifRange === 'string' ? ifRange : null,
    });
    const disturbance = this.#disturbanceAt(path, response);
    if (!disturbance) return;
    const url = new URL(path, 'http://localhost');
    const answer = new Answer(request, response, disturbance);
    if (server === 'files') this.#serveFile(url, answer);
    else this.#serveHub(url, answer, authorization);
  }

  /** Undefined where it has answered already. */
  #disturbanceAt(path: string, response: ServerResponse): Partial<Disturbance> | undefined {
    const disturbance = this.disturbances.find(
      ({ at, times = 1 }) => path.includes(at) && times > 0,
    );
    if (!disturbance) return {};
    disturbance.times = (disturbance.times ?? 1) - 1;
    const { status, headers = {}, body } = disturbance;
    if (status === undefined && body === undefined) return disturbance;
    response.writeHead(status ?? 200, headers).end(body);
    return undefined;
  }

  #serveHub(url: URL, answer: Answer, authorization: string | null): void {
    const asked = apiPath.exec(url.pathname);
    if (asked) {
      const [name, action, revision] = [at(asked, 1), at(asked, 2), at(asked, 3)];
      return this.#serveApi({ name, action, revision, url }, answer, authorization);
    }
    const wanted = filePath.exec(url.pathname);
    const model = wanted && this.#models.get(at(wanted, 1));
    if (!model) return answer.refuse(404, 'RepoNotFound');
    if (isRefused(model, authorization)) return refuse(model, answer, authorization);
    const revision = decodeURIComponent(at(wanted, 2));
    this.#resolve(model, { revision, path: at(wanted, 3) }, answer);
  }

  #serveApi(
    { name, action, revision, url }: ApiRequest,
    answer: Answer,
    authorization: string | null,
  ): void {
    const model = this.#models.get(name);
    if (!model || (model.access === 'private' && isRefused(model, authorization)))
      return answer.refuse(authorization ? 404 : 401, 'RepoNotFound');
    const commit = commitAt(model, decodeURIComponent(revision));
    if (commit === null) return answer.refuse(404, 'RevisionNotFound');
    if (action === 'revision') return answer.json({ _id: '1', id: name, sha: commit });
    if (action === 'tree') return this.#serveTree(model, url, answer);
    answer.refuse(404, 'EntryNotFound');
  }

  #serveTree(model: ServedModel, url: URL, answer: Answer): void {
    const start = Number(url.searchParams.get('cursor') ?? 0);
    const entries = Object.entries(model.files).map(([path, contents]) =>
      treeEntry(path, contents),
    );
    const next = new URL(url.pathname + url.search, this.endpoint);
    next.searchParams.set('cursor', String(start + filesPerPage));
    answer.json(
      entries.slice(start, start + filesPerPage),
      entries.length > start + filesPerPage ? { link: `<${next.href}>; rel="next"` } : {},
    );
  }

  #resolve(
    model: ServedModel,
    { revision, path }: { revision: string; path: string },
    answer: Answer,
  ): void {
    if (commitAt(model, revision) === null) return answer.refuse(404, 'RevisionNotFound');
    const contents = model.files[decodeURIComponent(path)];
    if (contents === undefined) return answer.refuse(404, 'EntryNotFound');
    const bytes = Buffer.from(contents);
    const headers = {
      'x-repo-commit': commitAt(model, revision) ?? '',
      'x-linked-size': String(bytes.length),
      'x-linked-etag': `"${hashOf(bytes)}"`,
    };
    if (bytes.length < largeBytes) return answer.file(bytes, `"${hashOf(bytes)}"`, headers);
    const target = `${addressOf(this.#files)}/${model.name}/${path}?Signature=secret`;
    answer.redirect(target, headers);
  }

  /** As a content delivery network does: its ETags are its own. */
  #serveFile(url: URL, answer: Answer): void {
    const [, owner, name, ...path] = url.pathname.split('/');
    const contents = this.#models.get(`${owner}/${name}`)?.files[path.join('/')];
    if (contents === undefined) return answer.refuse(404, null);
    answer.file(Buffer.from(contents), '"of-the-network"', {});
  }
}

/** An answer of either server. */
class Answer {
  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly disturbance: Partial<Disturbance>,
  ) {}

  json(value: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.response
      .writeHead(200, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(value));
  }

  refuse(status: number, code: string | null): void {
    this.response.writeHead(status, code === null ? {} : { 'x-error-code': code }).end();
  }

  redirect(location: string, headers: Readonly<Record<string, string>>): void {
    this.response.writeHead(302, { location, ...headers }).end();
  }

  file(bytes: Buffer, etag: string, headers: Readonly<Record<string, string>>): void {
    const start = this.#rangeStart(etag);
    if (start >= bytes.length && start > 0) return this.refuse(416, null);
    const body = Buffer.from(bytes.subarray(start));
    if (this.disturbance.damage === true) body.writeUInt8(body.readUInt8(0) ^ 1, 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    this.response.writeHead(start > 0 ? 206 : 200, {
      etag,
      'content-length': body.length,
      ...headers,
      ...(start > 0 ? range : {}),
    });
    this.#send(body);
  }

  #rangeStart(etag: string): number {
    const { range, 'if-range': ifRange } = this.request.headers;
    if (this.disturbance.ignoreRange === true) return 0;
    if (typeof ifRange === 'string' && ifRange !== etag) return 0;
    return Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  }

  #send(body: Buffer): void {
    const { cutAfterBytes, stallAfterBytes } = this.disturbance;
    const bytes = cutAfterBytes ?? stallAfterBytes;
    if (bytes === undefined) return void this.response.end(body);
    this.response.write(body.subarray(0, bytes), () => {
      // After the client has read what was sent: a reset would take it along.
      if (cutAfterBytes !== undefined) systemClock.after(30, () => this.response.destroy());
    });
  }
}

function isRefused({ access }: ServedModel, authorization: string | null): boolean {
  const token = authorization?.replace('Bearer ', '');
  if (access === undefined || token === hubTokens.licensed) return false;
  return access === 'gated' || token !== hubTokens.account;
}

function refuse({ access }: ServedModel, answer: Answer, authorization: string | null): void {
  if (access === 'gated') answer.refuse(authorization ? 403 : 401, 'GatedRepo');
  else answer.refuse(authorization ? 404 : 401, 'RepoNotFound');
}

function commitAt({ refs, commit = defaultCommit }: ServedModel, revision: string): string | null {
  if (revision === commit) return commit;
  return (refs ?? { main: commit })[revision] ?? null;
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
