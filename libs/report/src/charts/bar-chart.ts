import { at } from '@emloc/checked';
import { scaleLinear } from 'd3-scale';

import { html, type Html } from '../html.js';
import { figure } from './figure.js';

interface Bar {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  /** Drawn as the one that counts. */
  readonly isChosen?: boolean;
}

export interface BarChart {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Heads of the table's two columns. */
  readonly head: readonly [name: string, value: string];
  readonly bars: readonly Bar[];
  /** A level that bars are held against. */
  readonly rule?: { readonly name: string; readonly value: number };
  readonly note?: string;
}

/** Shares of the width, so that bars fit any page while text keeps its size. */
const inner = { left: 24, right: 78 };
const rowHeight = 30;
/** What a number takes of the width at most, on the narrowest page. */
const numberWidth = 18;

/** Bars from 0 to the right, each with its name and its number. */
export function barChart(chart: BarChart): Html {
  const { bars, rule, head } = chart;
  const top = rule ? 24 : 4;
  const height = top + bars.length * rowHeight + 4;
  const largest = [...bars.map(({ value }) => value), rule?.value ?? 0].reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  const x = scaleLinear()
    .domain([0, largest || 1])
    .range([inner.left, inner.right]);
  const place = { x, rule: rule ? x(rule.value) : null };
  const drawing = bars.map((_, index) => bar(at(bars, index), top + index * rowHeight, place));
  if (rule) {
    const across = x(rule.value).toFixed(1);
    drawing.unshift(
      html`<line class="rule" x1="${across}%" x2="${across}%" y1="18" y2="${height}" /><text
          class="rule-name"
          x="${across}%"
          y="12"
          text-anchor="end"
          >${rule.name}</text
        >`,
    );
  }
  const rows = bars.map(({ name, text }) => [name, text]);
  if (rule) rows.push(['budget', rule.name]);
  return figure({ ...chart, height, drawing, table: { head, rows } });
}

function bar(
  { name, value, text, isChosen }: Bar,
  top: number,
  { x, rule }: { readonly x: (value: number) => number; readonly rule: number | null },
): Html {
  const middle = top + rowHeight / 2;
  const end = x(Math.max(0, value));
  // Behind a rule that would cross the number.
  const start = rule !== null && end <= rule && rule < end + numberWidth ? rule : end;
  return html`<text
      class="axis"
      x="${inner.left}%"
      dx="-8"
      y="${middle}"
      dy="0.32em"
      text-anchor="end"
      >${name}</text
    ><rect
      class="bar${isChosen === true ? ' chosen' : ''}"
      x="${inner.left}%"
      y="${top + 5}"
      width="${Math.max(0.2, end - inner.left).toFixed(2)}%"
      height="${rowHeight - 10}"
      rx="2"
    /><text class="value" x="${start.toFixed(2)}%" dx="6" y="${middle}" dy="0.32em">${text}</text>`;
}
