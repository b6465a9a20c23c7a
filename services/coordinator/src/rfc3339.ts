const form =
  /^(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** An RFC 3339 time in milliseconds since 1970; NaN for anything else, also days that are none. */
export function parseTime(value: unknown): number {
  const [whole, year = '', month = '', day = ''] =
    form.exec(typeof value === 'string' ? value : '') ?? [];
  if (whole === undefined) return Number.NaN;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const isDay = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  // Clocks have no leap seconds: the one before it ends with it.
  return isDay ? Date.parse(whole.toUpperCase().replace(/:60(?=[.Z+-])/, ':59')) : Number.NaN;
}
