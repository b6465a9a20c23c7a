import {
  bytesPerElement,
  DeviceError,
  type OuterProduct,
  type OuterProductsOptions,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import { floating, matrix, multiply } from '../multiply.js';
import { isWide } from '../wide.js';

/** PRODUCTS, TILES, COLUMNS, THREADS and RANK of outer-products.cu. */
const productsPerLaunch = 8;
const maximumTiles = 2048;
const tileColumns = 64;
const threads = 64;
const kernelRank = 8;
const stageRows = 64;
/**
 * Blocks of one product that keep the largest cards' memory busy; a constant, so that the order of
 * sums depends on shapes alone.
 */
const wantedBlocks = 256;
const maximumStretches = 16;
/** Above this the library's product is faster. */
const maximumRank = 32;

/** Eight columns of a product's left matrix. */
interface Part {
  readonly product: OuterProduct;
  readonly column: number;
  readonly stretches: number;
  readonly stretchRows: number;
}

export function outerProducts(context: CudaContext, options: OuterProductsOptions): void {
  for (const product of options.products) check(product);
  const parts = partsOf(options);
  withScratch(context, outerProductsScratchBytes(options), (scratch) => {
    const done = new Set(
      parts.filter((part) => isAligned(context, part)).map(({ product }) => product),
    );
    const own = parts.filter(({ product }) => done.has(product));
    for (let start = 0; start < own.length; start += productsPerLaunch)
      launch(context, own.slice(start, start + productsPerLaunch), scratch);
    for (const product of options.products)
      if (!done.has(product)) multiplyColumns(context, product);
  });
}

/** Sums of stretches of rows, of as many parts as a launch has at most. */
export function outerProductsScratchBytes(options: OuterProductsOptions): number {
  const parts = partsOf(options);
  let most = 0;
  for (let start = 0; start < parts.length; start += productsPerLaunch) {
    most = Math.max(
      most,
      parts
        .slice(start, start + productsPerLaunch)
        .reduce((sum, part) => sum + partialBytes(part), 0),
    );
  }
  return most;
}

/** The parts that the kernel could do by their shapes. */
function partsOf({ products }: OuterProductsOptions): readonly Part[] {
  return products.flatMap((product) => {
    const { left, leftColumn = 0, leftColumns, right } = product;
    const [rows, columns] = [right.dim(0), right.dim(1)];
    const fits =
      left.dtype === 'bfloat16' &&
      leftColumns % kernelRank === 0 &&
      leftColumns <= maximumRank &&
      rows > 0 &&
      columns > 0 &&
      columns % 8 === 0 &&
      leftColumn % 8 === 0 &&
      left.dim(1) % 8 === 0 &&
      columns <= maximumTiles * tileColumns;
    if (!fits) return [];
    const wanted = Math.min(
      maximumStretches,
      Math.ceil(wantedBlocks / Math.ceil(columns / tileColumns)),
    );
    const stretchRows = Math.ceil(rows / wanted / stageRows) * stageRows;
    const stretches = Math.ceil(rows / stretchRows);
    return Array.from({ length: leftColumns / kernelRank }, (_, index) => ({
      product,
      column: index * kernelRank,
      stretches,
      stretchRows,
    }));
  });
}

function isAligned(context: CudaContext, { product: { left, right } }: Part): boolean {
  return isWide(8, 8, addressOf(context, left), addressOf(context, right));
}

function partialBytes({ product, stretches }: Part): number {
  return stretches > 1 ? roundUp(stretches * product.right.dim(1) * kernelRank * 4) : 0;
}

/** The table of products is a parameter of the kernel, struct Product in outer-products.cu. */
function launch(context: CudaContext, parts: readonly Part[], scratch: number): void {
  const { launcher } = context;
  let [tiles, stretches, partial] = [0, 0, scratch];
  launcher.begin();
  for (let index = 0; index < productsPerLaunch; index += 1) {
    const part = parts[index];
    if (!part) {
      launcher.pointer(0).pointer(0).pointer(0).pointer(0);
      for (let field = 0; field < 7; field += 1) launcher.int32(0);
      launcher.float32(0);
      continue;
    }
    pack(context, part, partial);
    tiles = Math.max(tiles, Math.ceil(part.product.right.dim(1) / tileColumns));
    stretches = Math.max(stretches, part.stretches);
    partial += partialBytes(part);
  }
  launcher.launch('outer-products', 'outer_products', {
    grid: [tiles, stretches, parts.length],
    block: threads,
  });
}

function pack(
  context: CudaContext,
  { product, column, stretches, stretchRows }: Part,
  partial: number,
): void {
  const { left, leftColumn = 0, leftColumns, right, out, transposeOut, alpha = 1 } = product;
  const [rows, columns] = [right.dim(0), right.dim(1)];
  const [rowStride, columnStride] = transposeOut ? [1, leftColumns] : [columns, 1];
  context.launcher
    .pointer(addressOf(context, left) + (leftColumn + column) * bytesPerElement[left.dtype])
    .pointer(addressOf(context, right))
    .pointer(addressOf(context, out) + column * rowStride * 4)
    .pointer(partial)
    .int32(rows)
    .int32(left.dim(1))
    .int32(columns)
    .int32(stretchRows)
    .int32(stretches)
    .int32(rowStride)
    .int32(columnStride)
    .float32(alpha);
}

function check({
  left,
  leftColumn = 0,
  leftColumns,
  right,
  out,
  transposeOut,
}: OuterProduct): void {
  const [rows, width] = [left.dim(0), left.dim(1)];
  const columns = right.dim(1);
  expectShape('outerProducts', right, [rows, columns]);
  expectShape('outerProducts', out, transposeOut ? [columns, leftColumns] : [leftColumns, columns]);
  expectDType('outerProducts', ['bfloat16', 'float32'], left, right);
  expectDType('outerProducts', ['float32'], out);
  if (left.shape.length === 2 && leftColumn + leftColumns <= width) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `cuda: outerProducts: ${left.label} has ${width} columns, ${leftColumn + leftColumns} are needed`,
  );
}

/** An outer product by the library, whatever its shape. */
function multiplyColumns(
  context: CudaContext,
  { left, leftColumn = 0, leftColumns, right, out, transposeOut, alpha = 1 }: OuterProduct,
): void {
  const [[rows, width], [, columns]] = [matrix(left), matrix(right)];
  if (rows === 0 || columns === 0 || leftColumns === 0) return;
  const dtype = expectDType('outerProducts', floating, left, right);
  const thin = {
    address: addressOf(context, left) + leftColumn * bytesPerElement[left.dtype],
    stride: width,
  };
  const wide = { address: addressOf(context, right), stride: columns };
  const [first, second] = transposeOut ? [thin, wide] : [wide, thin];
  const [m, n] = transposeOut ? [leftColumns, columns] : [columns, leftColumns];
  multiply(context, {
    m,
    n,
    k: rows,
    alpha,
    beta: 1,
    dtype,
    outDType: 'float32',
    left: { ...first, transposed: false },
    right: { ...second, transposed: true },
    out: { address: addressOf(context, out), stride: m },
  });
}
