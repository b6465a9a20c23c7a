/** A case by what makes it again. */
export interface CaseRequest {
  readonly target: string;
  readonly seed: number;
  readonly index: number;
}

export interface CaseReport {
  readonly isTaken: boolean;
  /** null: nothing is wrong. */
  readonly problem: string | null;
}
