/**
 * Strips of a matrix's rows, (strips, depth, strip): element (i, k) of a row-major (count, depth) matrix with `stride` elements from row to
 * row goes to lane i % strip of place k of strip i / strip. Lanes of the last strip that have no row become zeros. Addresses are in bytes.
 */
// @ts-ignore: decorator
@inline
export function packRows<T>(from: usize, stride: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  const rowBytes = <usize>stride * sizeof<T>();
  const placeBytes = <usize>strip * sizeof<T>();
  for (let row = 0; row < count; row += strip) {
    for (let lane = 0; lane < strip; ) {
      const rows = min(strip - lane, count - row - lane);
      const target = to + <usize>lane * sizeof<T>();
      if (rows >= 4) packFour<T>(from, rowBytes, depth, target, placeBytes);
      else packOne<T>(from, rows > 0, depth, target, placeBytes);
      const packed = rows >= 4 ? 4 : 1;
      lane += packed;
      from += <usize>packed * rowBytes;
    }
    to += <usize>depth * placeBytes;
  }
}

// @ts-ignore: decorator
@inline
function packFour<T>(first: usize, rowBytes: usize, depth: i32, to: usize, placeBytes: usize): void {
  let second = first + rowBytes;
  let third = second + rowBytes;
  let fourth = third + rowBytes;
  const end = first + <usize>depth * sizeof<T>();
  if (sizeof<T>() == 4) {
    const quads = first + ((<usize>depth & ~3) << 2);
    for (; first < quads; first += 16, second += 16, third += 16, fourth += 16, to += placeBytes) {
      const a = v128.load(first), b = v128.load(second), c = v128.load(third), d = v128.load(fourth);
      const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      v128.store(to, v128.shuffle<f64>(ab, cd, 0, 2));
      to += placeBytes;
      v128.store(to, v128.shuffle<f64>(ab, cd, 1, 3));
      to += placeBytes;
      const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f64>(abHigh, cdHigh, 0, 2));
      to += placeBytes;
      v128.store(to, v128.shuffle<f64>(abHigh, cdHigh, 1, 3));
    }
  }
  for (; first < end; first += sizeof<T>(), to += placeBytes) {
    store<T>(to, load<T>(first));
    store<T>(to, load<T>(second), sizeof<T>());
    store<T>(to, load<T>(third), 2 * sizeof<T>());
    store<T>(to, load<T>(fourth), 3 * sizeof<T>());
    second += sizeof<T>();
    third += sizeof<T>();
    fourth += sizeof<T>();
  }
}

/** A row, or zeros. */
// @ts-ignore: decorator
@inline
function packOne<T>(from: usize, isRow: bool, depth: i32, to: usize, placeBytes: usize): void {
  const end = to + <usize>depth * placeBytes;
  for (; to < end; to += placeBytes, from += sizeof<T>()) store<T>(to, isRow ? load<T>(from) : <T>0);
}

/**
 * Strips of a matrix's columns likewise: element (k, j) of a row-major (rows, count) matrix goes to lane j % strip of place k of strip
 * j / strip. Strips are `depth` places long, of which these are `rows` from the one that `to` is the first strip's. A place has 16,
 * 20 or 32 bytes.
 */
// @ts-ignore: decorator
@inline
export function packColumns<T>(from: usize, stride: i32, rows: i32, count: i32, depth: i32, strip: i32, to: usize): void {
  const rowBytes = <usize>stride * sizeof<T>();
  const placeBytes = <usize>strip * sizeof<T>();
  const stripBytes = <usize>depth * placeBytes;
  for (let column = 0; column < count; column += strip, to += stripBytes, from += placeBytes) {
    const end = to + <usize>rows * placeBytes;
    if (count - column < strip) packPart<T>(from, rowBytes, count - column, strip, to, end);
    else if (placeBytes == 16) copyVectors(from, rowBytes, to, end);
    else if (placeBytes == 20) copyFives(from, rowBytes, to, end);
    else copyPairs(from, rowBytes, to, end);
  }
}

// @ts-ignore: decorator
@inline
function copyVectors(from: usize, rowBytes: usize, to: usize, end: usize): void {
  for (; to < end; to += 16, from += rowBytes) v128.store(to, v128.load(from));
}

// @ts-ignore: decorator
@inline
function copyFives(from: usize, rowBytes: usize, to: usize, end: usize): void {
  for (; to < end; to += 20, from += rowBytes) {
    v128.store(to, v128.load(from));
    store<f32>(to, load<f32>(from, 16), 16);
  }
}

// @ts-ignore: decorator
@inline
function copyPairs(from: usize, rowBytes: usize, to: usize, end: usize): void {
  for (; to < end; to += 32, from += rowBytes) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
  }
}

/** A strip of which the matrix has `columns` lanes. */
// @ts-ignore: decorator
@inline
function packPart<T>(from: usize, rowBytes: usize, columns: i32, strip: i32, to: usize, end: usize): void {
  for (; to < end; from += rowBytes) {
    for (let lane = 0; lane < strip; lane += 1, to += sizeof<T>())
      store<T>(to, lane < columns ? load<T>(from + <usize>lane * sizeof<T>()) : <T>0);
  }
}
