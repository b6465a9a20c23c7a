/** An activation of a block: (rows, width). Only its number and width are known before a run. */
export interface Value {
  readonly id: number;
  readonly width: number;
}
