const prefix = 'SHA-256=';

/** A SHA-256 as object stores write it: the algorithm, `=` and padded base64url. */
export function digestText(sha256: Buffer): string {
  const text = sha256.toString('base64url');
  return `${prefix}${text.padEnd(Math.ceil(text.length / 4) * 4, '=')}`;
}

/** Whether a digest's text is of the kind that is checked here. */
export function isKnownDigest(text: string): boolean {
  return text.startsWith(prefix);
}
