import type { CalendarDate } from '../jinja/index.js';

const pattern = /^(\d{4})-(\d{2})-(\d{2})$/;

/** A day that the calendar has, from `YYYY-MM-DD`; null for anything else. */
export function parseCalendarDate(text: string): CalendarDate | null {
  const [, year = 0, month = 0, day = 0] = (pattern.exec(text) ?? []).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal =
    year >= 1 &&
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day;
  return isReal ? { year, month, day } : null;
}
