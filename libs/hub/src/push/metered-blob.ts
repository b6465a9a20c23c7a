/** A blob that tells how much of it is taken, as it is. */
export class MeteredBlob extends Blob {
  override readonly size: number;

  constructor(
    private readonly blob: Blob,
    private readonly onChunk: (bytes: number) => void,
  ) {
    super([], { type: blob.type });
    this.size = blob.size;
  }

  override stream(): ReturnType<Blob['stream']> {
    const metered = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        this.onChunk(chunk.length);
        controller.enqueue(chunk);
      },
    });
    return this.blob.stream().pipeThrough(metered) as ReturnType<Blob['stream']>;
  }
}
