import type { LaneMessage } from './lane-parser.js';

/**
 * A NATS connection for bulk data. The client library copies each payload once when it sends and
 * several times, into fresh memory, when it receives; a lane writes the caller's buffers and reuses
 * those it reads into. It knows only publish and subscribe, reconnects by itself and drops what is
 * published meanwhile: its users acknowledge and repeat.
 */
export interface Lane {
  /** The server's limit for one message. */
  readonly maxPayloadBytes: number;
  readonly connected: boolean;
  /** A subject prefix that only this lane uses. */
  readonly inbox: string;
  /**
   * Writes one message; `parts` are joined and must not change until the receiver has acknowledged
   * them.
   * @param headers name to value
   * @returns false when there is no connection and the message was dropped
   */
  publish(
    subject: string,
    parts: readonly Uint8Array[],
    options?: { reply?: string; headers?: Readonly<Record<string, string>> },
  ): boolean;
  /** @returns ends the subscription */
  subscribe(subject: string, handler: (message: LaneMessage) => void): () => void;
  /**
   * Called after every reconnection, with the subscriptions in place again.
   * @returns stops the calls
   */
  onReconnect(listener: () => void): () => void;
  /** Ends the connection and all subscriptions. */
  close(): void;
}
