import type { Answered } from './model.js';

/** A request that is over; nothing of what was asked or answered. */
export interface EndedRequest {
  /** Method and path of the API; null: of none that there is. */
  readonly route: string | null;
  /** Of HTTP; null: the client went away. */
  readonly status: number | null;
  readonly seconds: number;
  /** Null: there is no whole answer. */
  readonly answered: Answered | null;
}

export interface ServerObserver {
  requestEnded?(request: EndedRequest): void;
  /** An error that is no refusal: the client was told no more than its code. */
  failed?(error: unknown): void;
}
