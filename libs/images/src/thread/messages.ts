import { ImageError, type ImageErrorCode } from '../errors.js';
import type { DecodeOptions, ImageInput } from '../image-input.js';
import type { PatchOptions } from '../patches.js';
import type { PixelPlan } from '../pixels.js';
import type { Tiling } from '../tiling.js';

/** What a thread is asked for; one thing at a time. */
export type ImageTask = { readonly input: ImageInput } & (
  | { readonly type: 'patches'; readonly options: PatchOptions }
  | { readonly type: 'tiles'; readonly options: Tiling & DecodeOptions }
  | { readonly type: 'pixels'; readonly options: PixelPlan }
);

export interface ToThread {
  readonly task: ImageTask;
  /** One shared number: 1 when the result is not wanted any more. */
  readonly cancelled: Int32Array;
}

/** Its answer; the values are handed over, not copied. */
export type FromThread =
  | { readonly type: 'done'; readonly values: Float32Array | Uint8Array }
  | { readonly type: 'failed'; readonly error: WireError };

/** An error as it passes between threads, which keep no classes. */
export interface WireError {
  readonly code: ImageErrorCode | null;
  readonly message: string;
}

export function toWireError(error: unknown): WireError {
  if (error instanceof ImageError) return { code: error.code, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: null, message };
}

export function fromWireError({ code, message }: WireError): Error {
  return code === null ? new Error(message) : new ImageError(code, message);
}
