import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device } from '@emloc/device';
import { LocalImageReader, type ImageReader } from '@emloc/images';
import {
  minimumDeviceBytes,
  openPager,
  streamingHostBytes,
  type LayerSource,
  type Pager,
} from '@emloc/weight-pager';

import { makeStreams, type MadeStreams, type Making, type Wanted } from './made-streams.js';

export interface EncodingHost {
  readonly device: Device;
  readonly hostBytes: number;
  readonly prefetch: boolean;
  /** Makes what decodes images. Default: one in this thread, which is busy meanwhile. */
  readonly openImages?: () => ImageReader;
  readonly onProgress?: (task: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What the encoders made, until it is disposed. */
export interface TemporaryStreams extends MadeStreams, AsyncDisposable {}

/** Runs the encoders; what they make is in a temporary folder. */
export async function temporaryStreams(
  making: Making,
  wanted: Wanted,
  host: EncodingHost,
): Promise<TemporaryStreams> {
  const { device, onProgress, signal, openImages = () => new LocalImageReader() } = host;
  const folder = await mkdtemp(join(tmpdir(), 'emloc-pictures-'));
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await using reader = openImages();
    const streams = await makeStreams(making, wanted, {
      ...{ device, access: { reader, folder }, onProgress, signal },
      openPager: (source) => passingPager(source, host),
    });
    return { ...streams, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A pager over a model each of whose pages is used once. */
export function passingPager(
  source: LayerSource,
  { device, hostBytes, prefetch, signal }: Omit<EncodingHost, 'onProgress'>,
): Pager {
  return openPager({
    ...{ device, source, prefetch, signal },
    deviceBytes: minimumDeviceBytes(source, device),
    hostBytes: streamingHostBytes(source, hostBytes),
  });
}
