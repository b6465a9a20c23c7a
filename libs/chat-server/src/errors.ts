export type ChatServerErrorCode = 'CHAT_SERVER_INVALID_OPTION' | 'CHAT_SERVER_LISTEN_FAILED';

/** The server cannot be started; the message names the option or the address. */
export class ChatServerError extends Error {
  override readonly name = 'ChatServerError';

  constructor(
    readonly code: ChatServerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface RefusalDetails {
  /** Of HTTP; default: 400. */
  readonly status?: number;
  /** Parameter of the request that is refused, as `messages[2].content`. */
  readonly param?: string | null;
  /** Word of OpenAI's API for what is wrong; default: none. */
  readonly code?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the connection ends with the answer: what the client goes on to send is not read. */
  readonly closes?: boolean;
}

/** A request that is not answered. The message is for the client, and may quote the request. */
export class RequestRefusal extends Error {
  override readonly name = 'RequestRefusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #param: string | null;
  readonly #code: string | null;

  constructor(message: string, details: RefusalDetails = {}) {
    super(message);
    const { status = 400, param = null, code = null, headers = {}, closes = false } = details;
    this.status = status;
    this.headers = closes ? { ...headers, connection: 'close' } : headers;
    this.#param = param;
    this.#code = code;
  }

  /** As OpenAI's API tells an error. */
  toJSON(): object {
    const type = this.status < 500 ? 'invalid_request_error' : 'server_error';
    return { error: { message: this.message, type, param: this.#param, code: this.#code } };
  }
}
