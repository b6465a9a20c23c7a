import { HubError, type HubErrorCode } from './errors.js';
import { PassingError } from './retry.js';

/** What a refusal is about. */
export interface Refused {
  /** OWNER/NAME, with its revision where one was asked for. */
  readonly model: string;
  /** Page of the model, where its licence is. */
  readonly page: string;
  /** Who answered, for messages: an origin, no whole address. */
  readonly host: string;
  readonly hasToken: boolean;
  /** The file that was asked for; null: the repository. */
  readonly file: string | null;
}

/** What of an answer tells why it is no success. */
export interface Answer {
  readonly status: number;
  header(name: string): string | null;
}

const passing: readonly number[] = [408, 425, 429, 500, 502, 503, 504, 520, 522, 524];
const mostQuoted = 200;

/** What may succeed when it is asked again; null: the answer is for good. */
export function passingError(answer: Answer, { host }: Refused): PassingError | null {
  const { status } = answer;
  if (!passing.includes(status)) return null;
  return new PassingError(`${host} answered ${status}`, retryAfterMs(answer));
}

/** The error of an answer to a question that is no success. */
export function errorOfAnswer(answer: Answer, refused: Refused): HubError | PassingError {
  const passes = passingError(answer, refused);
  if (passes) return passes;
  const [code, message] = refusalOf(answer, refused);
  return new HubError(code, message);
}

function refusalOf(answer: Answer, refused: Refused): readonly [HubErrorCode, string] {
  const { status } = answer;
  const { model, page, host, file } = refused;
  switch (answer.header('x-error-code')) {
    case 'GatedRepo':
      return ['HUB_GATED', gated(answer, refused)];
    case 'RevisionNotFound':
      return ['HUB_REVISION_NOT_FOUND', `${model}: ${host} has no such revision of the model`];
    case 'EntryNotFound':
      return ['HUB_NOT_FOUND', `${model} has no file ${file ?? ''} (${host})`];
    case 'RepoNotFound':
      return ['HUB_NOT_FOUND', notFound(refused)];
    default:
  }
  if (status === 404) return ['HUB_NOT_FOUND', notFound(refused)];
  if (status === 401 || status === 403) return ['HUB_ACCESS_DENIED', denied(answer, refused)];
  const what = file === null ? model : `${model}, ${file}`;
  return ['HUB_RESPONSE_INVALID', `${what}: ${host} answered ${said(answer)}; see ${page}`];
}

function gated(answer: Answer, { model, page, hasToken }: Refused): string {
  return hasToken
    ? `${model} is gated, and the account of the token has no access (${said(answer)}): accept its licence at ${page} with that account, and wait where access is granted by hand; a fine-grained token must allow gated repositories`
    : `${model} is gated (${said(answer)}): accept its licence at ${page}, and give a token of that account as HF_TOKEN or with \`hf auth login\``;
}

function notFound({ model, page, host, hasToken }: Refused): string {
  const access = hasToken
    ? 'or the account of the token may not see it'
    : 'or it is private, and there is no token (HF_TOKEN, or `hf auth login`)';
  return `${model}: ${host} has no such model, ${access}; see ${page}`;
}

function denied(answer: Answer, { model, page, host, hasToken }: Refused): string {
  const token = hasToken
    ? 'check that the token (HF_TOKEN, or of `hf auth login`) is valid and allows to read the model'
    : 'give a token as HF_TOKEN or with `hf auth login`';
  return `${model}: ${host} refuses access (${said(answer)}): ${token}; if the model is gated, its licence is accepted at ${page}`;
}

/** Status and the server's own words. */
export function said(answer: Answer): string {
  const words = answer.header('x-error-message')?.slice(0, mostQuoted);
  return words ? `${answer.status}: ${words}` : String(answer.status);
}

/**
 * Seconds or a date, RFC 9110 10.2.3, or the `t` of RateLimit, seconds until the limit is lifted;
 * null where the server does not say.
 */
function retryAfterMs(answer: Answer): number | null {
  const text = answer.header('retry-after') ?? rateLimitSeconds(answer);
  if (text === null) return null;
  const seconds = Number(text);
  const ms = Number.isNaN(seconds) ? Date.parse(text) - Date.now() : seconds * 1000;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function rateLimitSeconds(answer: Answer): string | null {
  const isLimited = answer.status === 429;
  return (isLimited && /\bt=(\d+)/.exec(answer.header('ratelimit') ?? '')?.[1]) || null;
}
