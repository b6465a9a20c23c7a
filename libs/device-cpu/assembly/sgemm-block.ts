/**
 * c = a · b for packed panels of float32. `a` holds strips of 4 rows, k-major: (rows / 4, k, 4); `b` strips of 8 columns: (columns / 8, k, 8).
 * c is row-major (rows, columns) without padding. rows is a multiple of 4, columns of 8; addresses are in bytes.
 */
export function sgemmBlock(rows: i32, columns: i32, k: i32, a: usize, b: usize, c: usize): void {
  const stride = <usize>columns << 2;
  for (let column = 0; column < columns; column += 8) {
    const bStrip = b + ((<usize>column * <usize>k) << 2);
    for (let row = 0; row < rows; row += 4) {
      const aStrip = a + ((<usize>row * <usize>k) << 2);
      multiplyStrips(k, aStrip, bStrip, c + <usize>row * stride + (<usize>column << 2), stride);
    }
  }
}

// @ts-ignore: decorator
@inline
function multiplyStrips(k: i32, a: usize, b: usize, c: usize, stride: usize): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const end = a + (<usize>k << 4);
  while (a < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
    a += 16;
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
