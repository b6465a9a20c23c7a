import type { CalendarDate } from '../jinja/index.js';

const pattern = /^\d{4}-\d{2}-\d{2}$/;

/** A day that the calendar has, from `YYYY-MM-DD`; null for anything else. */
export function parseCalendarDate(text: string): CalendarDate | null {
  if (!pattern.test(text)) return null;
  const [year, month, day] = text.split('-').map(Number) as [number, number, number];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal =
    year >= 1 &&
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day;
  return isReal ? { year, month, day } : null;
}
