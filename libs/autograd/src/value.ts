/**
 * An activation of a block: (rows, width). How many rows it has is known in a run only, by the name
 * of its row layout: values of the same layout have equal rows.
 */
export interface Value {
  readonly id: number;
  readonly width: number;
  readonly rows: string;
}
