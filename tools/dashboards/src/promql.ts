/** Series of the processes that are chosen above a dashboard. */
export const processes = 'namespace=~"$namespace", service=~"$service", instance=~"$instance"';

/** The same, of the stages that are chosen. */
export const stages = `${processes}, stage=~"$stage"`;

/** Jobs belong to the deployment, not to a process: each coordinator counts them all. */
export const deployment = 'namespace=~"$namespace"';

/**
 * Targets by the names that deploy/prometheus and deploy/kubernetes give to their scrape jobs. `up`
 * has no service.
 */
export const targets = `job=~"emloc(/.+)?", ${deployment}`;

/** Quantile of what a histogram was told within `range`, for each value of the labels in `by`. */
export function quantile(
  share: number,
  histogram: string,
  {
    selector,
    by,
    range,
  }: {
    readonly selector: string;
    readonly by: string;
    readonly range: '$__range' | '$__rate_interval';
  },
): string {
  return `histogram_quantile(${share}, sum by (le, ${by}) (increase(${histogram}_bucket{${selector}}[${range}])))`;
}

/** The share of one counter's growth in the growth of two. */
export function shareOfGrowth(
  part: string,
  other: string,
  { selector, by }: { readonly selector: string; readonly by: string },
): string {
  const rate = (counter: string): string =>
    `sum by (${by}) (rate(${counter}{${selector}}[$__rate_interval]))`;
  return `${rate(part)} / (${rate(part)} + ${rate(other)})`;
}
