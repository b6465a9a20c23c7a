import {
  DatasetError,
  parseCalendarDate,
  parseRenamedColumns,
  reservedTemplateNames,
} from '@emloc/dataset';
import type { ModelLinear } from '@emloc/models';
import { PathPatterns, PatternError } from '@emloc/patterns';
import { JsonTextError, parseJsonText } from '@emloc/untrusted';

import { PipelineError } from '../errors.js';

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertInteger(
  name: string,
  value: unknown,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most) return;
  const upTo = most < Number.MAX_SAFE_INTEGER ? ` and at most ${most}` : '';
  throw invalidOption(name, value, `a whole number of at least ${least}${upTo}`);
}

/**
 * @param adapted the layers that are trained
 * @throws PipelineError PIPELINE_INVALID_OPTION for a rank that none of them can have
 */
export function assertRank(
  rank: number,
  adapted: Iterable<Pick<ModelLinear, 'path' | 'inFeatures' | 'outFeatures'>>,
): void {
  let [most, largest] = [0, ''];
  for (const { path, inFeatures, outFeatures } of adapted)
    if (Math.min(inFeatures, outFeatures) > most)
      [most, largest] = [Math.min(inFeatures, outFeatures), path];
  if (rank <= most) return;
  throw invalidOption('rank', rank, `at most ${most}, the smaller side of ${largest},`);
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidOption(name, value, 'a text');
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option */
export function assertRegExp(name: string, value: string): void {
  try {
    new PathPatterns().compile(value);
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    throw new PipelineError(
      'PIPELINE_INVALID_OPTION',
      `option ${name}: ${shown(value)} cannot be used as a pattern: ${cause.message}`,
      { cause },
    );
  }
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the option and the size */
export function assertBytes(name: string, value: string, most: number): void {
  const bytes = Buffer.byteLength(value);
  if (bytes <= most) return;
  throw new PipelineError(
    'PIPELINE_INVALID_OPTION',
    `option ${name}: a text of ${bytes} bytes given, at most ${most} are allowed`,
  );
}

/** @throws PipelineError PIPELINE_INVALID_OPTION unless it is a day of the years 1 to 9999 */
export function assertDate(name: string, value: string): void {
  if (parseCalendarDate(value) === null)
    throw invalidOption(name, value, 'a day as YYYY-MM-DD, from year 0001 to 9999,');
}

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the column */
export function assertColumns(name: string, value: string): void {
  try {
    parseRenamedColumns(value);
  } catch (cause) {
    if (!(cause instanceof DatasetError)) throw cause;
    const reason = cause.message.replace(/^columns: /, '');
    throw new PipelineError('PIPELINE_INVALID_OPTION', `option ${name}: ${reason}`, { cause });
  }
}

/**
 * @throws PipelineError PIPELINE_INVALID_OPTION unless it is a JSON object that names no variable
 * which is set for every template
 */
export function assertTemplateArgs(name: string, value: string): void {
  const reserved = Object.keys(parseObject(name, value)).find((key) =>
    reservedTemplateNames.has(key),
  );
  if (reserved === undefined) return;
  throw new PipelineError(
    'PIPELINE_INVALID_OPTION',
    `option ${name}: ${JSON.stringify(reserved)} cannot be given, it is set from rows and model`,
  );
}

function parseObject(name: string, value: string): object {
  const parsed = parseJson(name, value);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalidOption(name, value, 'a JSON object');
  return parsed;
}

function parseJson(name: string, value: string): unknown {
  try {
    return parseJsonText(value);
  } catch (cause) {
    if (!(cause instanceof JsonTextError)) throw cause;
    throw invalidOption(name, value, 'a JSON object', cause);
  }
}

/** Latents of pictures are eighths of pixels, in squares of two. */
const pictureUnit = 16;

/** @throws PipelineError PIPELINE_INVALID_OPTION naming the nearest size that can be had */
export function assertResolution(name: string, value: number): void {
  if (value % pictureUnit === 0) return;
  const nearest = Math.max(1, Math.round(value / pictureUnit)) * pictureUnit;
  throw invalidOption(name, value, `a multiple of ${pictureUnit}, ${nearest} say,`);
}

/** Width and height of a picture, by `WIDTHxHEIGHT` or by the side of a square. */
export function parseSize(text: string): { readonly width: number; readonly height: number } {
  const sides = text.split('x').map(Number);
  return { width: sides.at(0) ?? Number.NaN, height: sides.at(-1) ?? Number.NaN };
}

/** @throws PipelineError PIPELINE_INVALID_OPTION */
export function assertSize(name: string, value: string): void {
  if (!/^\d{1,5}(x\d{1,5})?$/.test(value))
    throw invalidOption(name, value, 'WIDTHxHEIGHT or one side in pixels');
  const { width, height } = parseSize(value);
  for (const side of [width, height]) {
    assertInteger(name, side, pictureUnit);
    assertResolution(name, side);
  }
}

const mostQuoted = 200;

function shown(value: unknown): string {
  // JSON has no word for NaN and Infinity.
  const given = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return given.length > mostQuoted ? `${given.slice(0, mostQuoted)}…` : given;
}

export function invalidOption(
  name: string,
  value: unknown,
  expected: string,
  cause?: unknown,
): PipelineError {
  return new PipelineError(
    'PIPELINE_INVALID_OPTION',
    `option ${name}: ${shown(value)} given, ${expected} expected`,
    cause === undefined ? {} : { cause },
  );
}
