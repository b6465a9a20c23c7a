import { checksum, checksumBytes } from '../checksum.js';
import type { TensorHeader } from '../tensor-bus.js';

/**
 * What travels on the core NATS path. A chunk is 16 bytes of header (magic, sequence number,
 * length, transfer's tag, each a little-endian u32), 16 of checksum over header and data, then the
 * data. Everything else is "ETC1", 16 bytes of checksum, and JSON.
 */
export const chunkHeaderBytes = 16 + checksumBytes;

const magic = 0x31425445; // "ETB1"
const controlMagic = Buffer.from('ETC1', 'latin1');
const controlHeaderBytes = 4 + checksumBytes;

export interface Offer {
  readonly type: 'offer';
  readonly transfer: string;
  /** Random u32 in every chunk of the transfer. */
  readonly tag: number;
  /** Subject that reaches the sender. */
  readonly reply: string;
  readonly channel: string;
  readonly layer: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tensors: readonly TensorHeader[];
  readonly chunkBytes: number;
  readonly windowChunks: number;
}

/** From the receiver to the sender. `receiver` is its subject for this transfer. */
export type ReceiverMessage =
  /** The offer is known, its turn will come; repeated while it waits. */
  | { readonly type: 'queued'; readonly receiver: string }
  | { readonly type: 'accept'; readonly receiver: string; readonly windowChunks: number }
  /** Every chunk below `next` is written. Also sent as a sign of life. */
  | { readonly type: 'ack'; readonly receiver: string; readonly next: number }
  /** Answer to a probe, or to a damaged chunk: these have not arrived. */
  | {
      readonly type: 'missing';
      readonly receiver: string;
      readonly next: number;
      readonly chunks: readonly number[];
    }
  | { readonly type: 'done'; readonly receiver: string }
  | { readonly type: 'reject'; readonly receiver: string; readonly reason: string }
  /** The receiver went away before it looked at the layer. */
  | { readonly type: 'back'; readonly receiver: string };

/** From the sender to the receiver, beside chunks. */
export type SenderMessage =
  /** The receiver that is told this has the layer, and no other. */
  | { readonly type: 'grant' }
  /** Every chunk below `sent` went out before this: say which are missing. */
  | { readonly type: 'probe'; readonly sent: number }
  | { readonly type: 'abort'; readonly reason: string };

/** Writes header and checksum into the first bytes of a frame whose data is in place. */
export function sealChunk(frame: Buffer, sequence: number, tag: number): void {
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt32LE(sequence, 4);
  frame.writeUInt32LE(frame.length - chunkHeaderBytes, 8);
  frame.writeUInt32LE(tag, 12);
  checksum(frame.subarray(0, 16), frame.subarray(chunkHeaderBytes)).copy(frame, 16);
}

export type OpenedChunk =
  | { readonly kind: 'chunk'; readonly sequence: number; readonly data: Buffer }
  /** `sequence` is what the header says, if it can be believed. */
  | { readonly kind: 'damaged'; readonly sequence: number };

export function openChunk(payload: Uint8Array, tag: number): OpenedChunk {
  const frame = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (frame.length < chunkHeaderBytes || frame.readUInt32LE(0) !== magic)
    return { kind: 'damaged', sequence: -1 };
  const sequence = frame.readUInt32LE(4);
  const data = frame.subarray(chunkHeaderBytes);
  const isWhole = frame.readUInt32LE(8) === data.length && frame.readUInt32LE(12) === tag;
  if (
    !isWhole ||
    !checksum(frame.subarray(0, 16), data).equals(frame.subarray(16, chunkHeaderBytes))
  )
    return { kind: 'damaged', sequence };
  return { kind: 'chunk', sequence, data };
}

export function isControl(payload: Uint8Array): boolean {
  return controlMagic.equals(payload.subarray(0, 4));
}

export function encodeControl(message: Offer | ReceiverMessage | SenderMessage): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  return Buffer.concat([controlMagic, checksum(controlMagic, json), json]);
}

/** @returns undefined for what is damaged: it will come again */
export function decodeControl<T extends { readonly type: string }>(
  payload: Uint8Array,
): T | undefined {
  const frame = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const json = frame.subarray(controlHeaderBytes);
  const isWhole =
    frame.length > controlHeaderBytes &&
    frame.subarray(0, 4).equals(controlMagic) &&
    checksum(controlMagic, json).equals(frame.subarray(4, controlHeaderBytes));
  if (!isWhole) return undefined;
  try {
    return JSON.parse(json.toString('utf8')) as T;
  } catch {
    return undefined;
  }
}
