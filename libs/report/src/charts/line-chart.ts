import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

import { html, type Html } from '../html.js';
import { figure, type TableData } from './figure.js';

type Point = readonly [x: number, y: number];

export interface LineSeries {
  readonly name: string;
  readonly points: readonly Point[];
  /** `a` and `b` differ by colour and dash; `dots` has each point marked. */
  readonly look: 'a' | 'b' | 'dots';
}

export interface LineChart {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly xLabel: string;
  /** Stands behind the numbers of the y axis. */
  readonly unit?: string;
  readonly series: readonly LineSeries[];
  /** A level that is drawn across. */
  readonly rule?: { readonly name: string; readonly value: number };
  /** Whether the axis begins at 0 and not at the least value. */
  readonly fromZero?: boolean;
  readonly table: TableData;
  readonly note?: string;
}

const size = { width: 640, height: 260 };
/** Above there is room for the name of a rule. */
const inner = { left: 72, right: 16, top: 22, bottom: 44 };

/** Lines over a common axis, with ticks, and a legend where there is more than one. */
export function lineChart(chart: LineChart): Html {
  const { series, rule, xLabel, unit, fromZero = false } = chart;
  const all = series.flatMap(({ points }) => points);
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
  const levels = rule ? [...ys, rule.value] : ys;
  const x = scaleLinear()
    .domain(spread(least(xs), most(xs)))
    .range([inner.left, size.width - inner.right]);
  const y = scaleLinear()
    .domain(spread(fromZero ? Math.min(0, least(levels)) : least(levels), most(levels)))
    .nice(5)
    .range([size.height - inner.bottom, inner.top]);
  const path = line<Point>(
    ([at]) => x(at),
    ([, at]) => y(at),
  ).digits(1);
  const yText = y.tickFormat(5);
  const drawing = [
    ...y
      .ticks(5)
      .map((tick) => yTick(y(tick), `${yText(tick)}${unit === undefined ? '' : ` ${unit}`}`)),
    ...x
      .ticks(6)
      .filter(Number.isInteger)
      .map((tick) => xTick(x(tick), String(tick))),
    html`<text
      class="axis"
      x="${(inner.left + size.width - inner.right) / 2}"
      y="${size.height - 6}"
      text-anchor="middle"
      >${xLabel}</text
    >`,
    ...series.map(
      (each) => html`<path class="line ${each.look}" d="${path(each.points) ?? ''}" />`,
    ),
    ...series
      .filter(({ look }) => look === 'dots')
      .flatMap(({ points }) => points)
      .map(
        ([px, py]) =>
          html`<circle class="dots" cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3.5" />`,
      ),
    ...(rule ? [ruleAt(y(rule.value), rule.name)] : []),
  ];
  return figure({ ...chart, ...size, drawing, legend: legendOf(series) });
}

function yTick(at: number, text: string): Html {
  const y = at.toFixed(1);
  return html`<line
      class="grid"
      x1="${inner.left}"
      x2="${size.width - inner.right}"
      y1="${y}"
      y2="${y}"
    /><text class="axis" x="${inner.left - 8}" y="${y}" dy="0.32em" text-anchor="end"
      >${text}</text
    >`;
}

function xTick(at: number, text: string): Html {
  const x = at.toFixed(1);
  const bottom = size.height - inner.bottom;
  return html`<line class="tick" x1="${x}" x2="${x}" y1="${bottom}" y2="${bottom + 5}" /><text
      class="axis"
      x="${x}"
      y="${bottom + 18}"
      text-anchor="middle"
      >${text}</text
    >`;
}

function ruleAt(at: number, name: string): Html {
  const y = at.toFixed(1);
  return html`<line
      class="rule"
      x1="${inner.left}"
      x2="${size.width - inner.right}"
      y1="${y}"
      y2="${y}"
    /><text
      class="rule-name"
      x="${size.width - inner.right}"
      y="${(at - 5).toFixed(1)}"
      text-anchor="end"
      >${name}</text
    >`;
}

function legendOf(series: readonly LineSeries[]): Html | undefined {
  if (series.length < 2) return undefined;
  const entries = series.map(
    ({ name, look }) =>
      html`<li>
        <svg width="28" height="10" aria-hidden="true">
          <path class="line ${look}" d="M0 5H28" />
          ${look === 'dots' ? html`<circle class="dots" cx="14" cy="5" r="3.5" />` : null}</svg
        >${name}
      </li>`,
  );
  return html`<ul class="legend">
    ${entries}
  </ul>`;
}

/** A range that is not empty. */
function spread(low: number, high: number): [number, number] {
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}
