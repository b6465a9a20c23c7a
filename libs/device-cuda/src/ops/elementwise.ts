import {
  type AddBiasOptions,
  type AddOptions,
  type CastOptions,
  type FillOptions,
  type ScaleOptions,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';
import type { Launcher } from '../launcher.js';
import { isWide, wideCount } from '../wide.js';
import { launchCast, shapeFor } from './launch-cast.js';

const floating = ['float32', 'bfloat16', 'float64'] as const;

export function fill(context: CudaContext, { out, value }: FillOptions): void {
  const { launcher } = context;
  const target = addressOf(context, out);
  if (out.dtype === 'int32') return fillInt32(launcher, target, value, out.size);
  const width = isWide(out.size, wideCount(out.dtype), target) ? wideCount(out.dtype) : 1;
  launcher.begin().pointer(target).float64(value).pointer(out.size);
  launcher.launch(
    'elementwise',
    `fill_${out.dtype}${width > 1 ? '_wide' : ''}`,
    shapeFor(out.size, width),
  );
}

function fillInt32(launcher: Launcher, target: number, value: number, count: number): void {
  launcher
    .begin()
    .pointer(target)
    .int32(value)
    .pointer(count)
    .launch('elementwise', 'fill_int32', shapeFor(count, 1));
}

export function add(context: CudaContext, { x, out, alpha = 1 }: AddOptions): void {
  expectShape('add', x, out.shape);
  const dtype = expectDType('add', floating, x, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(out.size, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .float64(alpha)
    .pointer(out.size)
    .launch('elementwise', `add_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(out.size, width));
}

export function addBias(context: CudaContext, { bias, out }: AddBiasOptions): void {
  const [, columns] = rowsAndColumns('addBias', out);
  expectShape('addBias', bias, [columns]);
  const dtype = expectDType('addBias', floating, bias, out);
  const [source, target] = [addressOf(context, bias), addressOf(context, out)];
  const width = isWide(columns, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(out.size)
    .int32(columns)
    .launch(
      'elementwise',
      `add_bias_${dtype}${width > 1 ? '_wide' : ''}`,
      shapeFor(out.size, width),
    );
}

export function scale(context: CudaContext, { x, scale: factors, along, out }: ScaleOptions): void {
  const [rows, columns] = rowsAndColumns('scale', x);
  expectShape('scale', out, x.shape);
  expectShape('scale', factors, [along === 'rows' ? rows : columns]);
  const dtype = expectDType('scale', floating, x, factors, out);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const width = isWide(columns, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(addressOf(context, factors))
    .pointer(target)
    .pointer(x.size)
    .int32(columns)
    .int32(along === 'rows' ? 1 : 0)
    .launch('elementwise', `scale_${dtype}${width > 1 ? '_wide' : ''}`, shapeFor(x.size, width));
}

export function cast(context: CudaContext, { x, out }: CastOptions): void {
  expectShape('cast', out, x.shape);
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  if (x.dtype !== out.dtype)
    return launchCast(context.launcher, {
      from: x.dtype,
      to: out.dtype,
      source,
      target,
      count: x.size,
    });
  const unit = x.byteLength % 4 === 0 && source % 4 === 0 && target % 4 === 0 ? 4 : 2;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .pointer(x.byteLength / unit)
    .launch('elementwise', `copy_${unit}`, shapeFor(x.byteLength / unit, 1));
}
