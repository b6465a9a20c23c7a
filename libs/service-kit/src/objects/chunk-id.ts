/** Under which JetStream drops what is stored already. */
export const messageIdHeader = 'Nats-Msg-Id';

/** Message id of a chunk that a writer of ours stores. */
export function chunkIdOf(uploadId: string, index: number): string {
  return `${uploadId}.${index}`;
}

const pattern = new RegExp(`^${messageIdHeader}: [^.\r]*\\.(\\d+)\r$`, 'm');

/** Index of a chunk by its header block; undefined: not one of ours. */
export function chunkIndexOf(headers: Uint8Array): number | undefined {
  const found = pattern.exec(
    Buffer.from(headers.buffer, headers.byteOffset, headers.byteLength).toString('latin1'),
  );
  return found ? Number(found[1]) : undefined;
}
