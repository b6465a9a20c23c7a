/**
 * c = a · b for packed panels of float64. `a` holds strips of 4 rows, k-major: (rows / 4, k, 4); `b` strips of 4 columns: (columns / 4, k, 4).
 * c is row-major (rows, columns) without padding. rows and columns are multiples of 4; addresses are in bytes.
 */
export function dgemmBlock(rows: i32, columns: i32, k: i32, a: usize, b: usize, c: usize): void {
  const stride = <usize>columns << 3;
  for (let column = 0; column < columns; column += 4) {
    const bStrip = b + ((<usize>column * <usize>k) << 3);
    for (let row = 0; row < rows; row += 4) {
      const aStrip = a + ((<usize>row * <usize>k) << 3);
      multiplyStrips(k, aStrip, bStrip, c + <usize>row * stride + (<usize>column << 3), stride);
    }
  }
}

// @ts-ignore: decorator
@inline
function multiplyStrips(k: i32, a: usize, b: usize, c: usize, stride: usize): void {
  let c00 = f64x2.splat(0), c01 = f64x2.splat(0);
  let c10 = f64x2.splat(0), c11 = f64x2.splat(0);
  let c20 = f64x2.splat(0), c21 = f64x2.splat(0);
  let c30 = f64x2.splat(0), c31 = f64x2.splat(0);
  const end = a + (<usize>k << 5);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    c00 = f64x2.add(c00, f64x2.mul(x, b0));
    c01 = f64x2.add(c01, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 8);
    c10 = f64x2.add(c10, f64x2.mul(x, b0));
    c11 = f64x2.add(c11, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 16);
    c20 = f64x2.add(c20, f64x2.mul(x, b0));
    c21 = f64x2.add(c21, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 24);
    c30 = f64x2.add(c30, f64x2.mul(x, b0));
    c31 = f64x2.add(c31, f64x2.mul(x, b1));
    a += 32;
    b += 32;
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  c += stride;
  v128.store(c, c10);
  v128.store(c, c11, 16);
  c += stride;
  v128.store(c, c20);
  v128.store(c, c21, 16);
  c += stride;
  v128.store(c, c30);
  v128.store(c, c31, 16);
}
