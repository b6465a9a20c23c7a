/** The one error of this folder: a tokenizer that cannot be used, or a text that it cannot take. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError';

  constructor(
    /** The file that is wrong: `tokenizer.json`, `tokenizer_config.json` or `added_tokens.json`. */
    readonly file: string,
    /** Path in the file, `pre_tokenizer.pretokenizers[0].pattern` say; empty: the whole file. */
    readonly part: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`${file}${part === '' ? '' : `: ${part}`}: ${reason}`, options);
  }
}

/** Text of a file for a message: cut, and without control characters. */
export function quote(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
