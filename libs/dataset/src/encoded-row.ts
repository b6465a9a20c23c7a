/** One row of a data set as the model sees it. */
export interface EncodedRow {
  readonly ids: Int32Array;
  /**
   * As long as `ids`: 1 where the token is a training target. Never 1 for the first token, which
   * nothing predicts.
   */
  readonly trained: Uint8Array;
  /** 1-based line of the file, or element of its array; 0 for a row that comes from none. */
  readonly line: number;
  /** 1-based, where a row of the file became several. */
  readonly part?: number;
  /** Whether tokens behind the maximum length were cut off. */
  readonly isCut?: boolean;
}
