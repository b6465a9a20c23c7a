/** A duration: `0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 10 min`. */
export function secondsText(seconds: number): string {
  if (seconds < 60) return `${significant(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

export function lossText(loss: number): string {
  return Math.abs(loss) >= 1000 || (loss !== 0 && Math.abs(loss) < 0.001)
    ? loss.toExponential(2)
    : loss.toFixed(4);
}

export function percentText(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** A number with its thousands apart, by a space that does not break. */
export function countText(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, '\u00a0');
}

/** Three digits that matter. */
function significant(value: number): string {
  if (value >= 100 || value === 0) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
