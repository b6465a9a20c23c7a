/** A file is no regular one, or larger than whoever reads it bears. */
export class FileRefusal extends Error {
  override readonly name = 'FileRefusal';

  constructor(
    readonly path: string,
    /** As it goes on after the path. */
    readonly reason: string,
  ) {
    super(`${path} ${reason}`);
  }
}

export function notRegular(path: string): FileRefusal {
  return new FileRefusal(path, 'is not a regular file');
}

export function assertBearable(path: string, bytes: number, maxBytes: number): void {
  if (bytes > maxBytes)
    throw new FileRefusal(path, `has ${bytes} bytes, above the limit of ${maxBytes}`);
}
