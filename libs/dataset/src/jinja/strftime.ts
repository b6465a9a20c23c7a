import { at } from '@emloc/checked';

import { type CalendarDate } from './values.js';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const DAY_MS = 86_400_000;

/** The day in the numbers that directives are made of. */
interface Moment {
  readonly year: number;
  /** From 0. */
  readonly month: number;
  readonly day: number;
  /** From 0, Sunday. */
  readonly weekday: number;
  /** From 0. */
  readonly dayOfYear: number;
  readonly epochSeconds: number;
}

/**
 * As `strftime` of midnight of that day in the C locale, with the flags of the GNU C library.
 */
export function strftime(format: string, date: CalendarDate): string {
  const moment = toMoment(date);
  return format.replace(
    /%([-_0^#]*)(\d*)([EO]?)([\s\S]?)/gu,
    (whole, flags: string, width: string, _modifier: string, directive: string) =>
      directive === '' ? whole : (write(directive, flags, width, moment) ?? whole),
  );
}

function toMoment({ year, month, day }: CalendarDate): Moment {
  const time = utc(year, month - 1, day);
  return {
    year,
    month: month - 1,
    day,
    weekday: new Date(time).getUTCDay(),
    dayOfYear: Math.round((time - utc(year, 0, 1)) / DAY_MS),
    epochSeconds: time / 1000,
  };
}

/** Date.UTC takes years below 100 for others. */
function utc(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.getTime();
}

function write(
  directive: string,
  flags: string,
  width: string,
  moment: Moment,
): string | undefined {
  const composed = compositions[directive];
  if (composed !== undefined) return padText(expand(composed, moment), flags, width, ' ');
  const number = numbers[directive];
  if (number !== undefined) {
    const [value, digits, fill = '0'] = number(moment);
    return padNumber(value, flags, width === '' ? digits : Number(width), fill);
  }
  const text = texts[directive]?.(moment);
  return text === undefined ? undefined : padText(text, flags, width, ' ', directive);
}

function padNumber(value: number, flags: string, digits: number, fill: string): string {
  const flag = /[-_0]/.exec(flags.split('').reverse().join(''))?.[0];
  if (flag === '-') return String(value);
  const filler = flag === '_' ? ' ' : flag === '0' ? '0' : fill;
  return String(value).padStart(digits, filler);
}

function padText(text: string, flags: string, width: string, fill: string, directive = ''): string {
  const isSwapped = flags.includes('#') && /[pZ]/.test(directive);
  const isUpper = flags.includes('^') || (flags.includes('#') && !isSwapped);
  const shown = isSwapped ? text.toLowerCase() : isUpper ? text.toUpperCase() : text;
  return shown.padStart(Number(width || '0'), flags.includes('0') ? '0' : fill);
}

function expand(format: string, moment: Moment): string {
  return format.replace(
    /%(.)/g,
    (whole, directive: string) => write(directive, '', '', moment) ?? whole,
  );
}

const compositions: Readonly<Record<string, string>> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  r: '%I:%M:%S %p',
  R: '%H:%M',
  T: '%H:%M:%S',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
};

type NumberOf = (moment: Moment) => [value: number, digits: number, fill?: string];

const numbers: Readonly<Record<string, NumberOf>> = {
  C: ({ year }) => [Math.floor(year / 100), 2],
  d: ({ day }) => [day, 2],
  e: ({ day }) => [day, 2, ' '],
  f: () => [0, 6],
  g: (moment) => [isoWeek(moment).year % 100, 2],
  G: (moment) => [isoWeek(moment).year, 1],
  H: () => [0, 2],
  I: () => [12, 2],
  j: ({ dayOfYear }) => [dayOfYear + 1, 3],
  k: () => [0, 2, ' '],
  l: () => [12, 2, ' '],
  m: ({ month }) => [month + 1, 2],
  M: () => [0, 2],
  s: ({ epochSeconds }) => [epochSeconds, 1],
  S: () => [0, 2],
  u: ({ weekday }) => [weekday === 0 ? 7 : weekday, 1],
  U: ({ dayOfYear, weekday }) => [Math.floor((dayOfYear + 7 - weekday) / 7), 2],
  V: (moment) => [isoWeek(moment).week, 2],
  w: ({ weekday }) => [weekday, 1],
  W: ({ dayOfYear, weekday }) => [Math.floor((dayOfYear + 7 - ((weekday + 6) % 7)) / 7), 2],
  y: ({ year }) => [year % 100, 2],
  Y: ({ year }) => [year, 1],
};

const texts: Readonly<Record<string, (moment: Moment) => string>> = {
  a: ({ weekday }) => at(days, weekday).slice(0, 3),
  A: ({ weekday }) => at(days, weekday),
  b: ({ month }) => at(months, month).slice(0, 3),
  B: ({ month }) => at(months, month),
  h: ({ month }) => at(months, month).slice(0, 3),
  n: () => '\n',
  p: () => 'AM',
  P: () => 'am',
  t: () => '\t',
  // A time without a zone.
  z: () => '',
  Z: () => '',
  '%': () => '%',
};

/** Weeks begin on Monday; the first one has the year's first Thursday. */
function isoWeek({ year, dayOfYear, weekday }: Moment): { year: number; week: number } {
  const week = Math.floor((dayOfYear - ((weekday + 6) % 7) + 10) / 7);
  if (week < 1) return { year: year - 1, week: weeksIn(year - 1) };
  return week > weeksIn(year) ? { year: year + 1, week: 1 } : { year, week };
}

function weeksIn(year: number): number {
  const first = new Date(utc(year, 0, 1)).getUTCDay();
  const last = new Date(utc(year, 11, 31)).getUTCDay();
  return first === 4 || last === 4 ? 53 : 52;
}
