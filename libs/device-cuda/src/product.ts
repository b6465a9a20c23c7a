export type Floating = 'float32' | 'bfloat16' | 'float64';

interface Operand {
  readonly address: number;
  readonly transposed: boolean;
  /** Elements from one row to the next. */
  readonly stride: number;
}

export interface Product {
  /** Column-major, as cuBLAS counts. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
  readonly beta: number;
  readonly dtype: Floating;
  readonly outDType: Floating;
  readonly left: Operand;
  readonly right: Operand;
  readonly out: { readonly address: number; readonly stride: number };
}
