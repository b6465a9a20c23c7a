import { at } from '@emloc/checked';
import { scaleLinear, scaleLog } from 'd3-scale';
import { line, symbol, symbolsFill } from 'd3-shape';

import { linkName, type LinkTimes } from './quality-meter.js';
import type { QualityRow, QualityScore } from './quality-summary.js';

type Point = readonly [x: number, loss: number];

/** Jobs of one row, from few steps to many. */
interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

interface Panel {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
}

const size = { width: 330, height: 300 };
const inner = { left: 44, right: 10, top: 30, bottom: 44 };
const legendRow = 20;
/** At most, of a letter of a legend on average. */
const letterWidth = 6.6;

/** Colours of both schemes, beside which every series has a mark of its own. */
const looks = Object.freeze([
  '#0b62c4',
  '#b3261e',
  '#1a6b34',
  '#a8480c',
  '#6b3fa0',
  '#57606a',
  '#00788a',
]);

/**
 * Pictures by name: loss of jobs that are done against their seconds over each link, their
 * arithmetic, and their passes over the original. A point is a job, a line joins a row's.
 */
export function qualityCharts(
  base: QualityScore,
  rows: readonly QualityRow[],
  times: readonly LinkTimes[],
): ReadonlyMap<string, string> {
  const panel = (
    title: string,
    xLabel: string,
    xOf: (row: QualityRow) => number | null,
  ): Panel => ({
    ...{ title, xLabel },
    series: seriesOf(rows, xOf),
  });
  const bySeconds = times.map(({ linkGbps }, index) =>
    panel(linkName(linkGbps), 'seconds of the job', ({ seconds }) => at(seconds, index)),
  );
  const byWork = [
    panel('arithmetic', 'share of the arithmetic of full LoRA', ({ arithmetic }) => arithmetic),
    panel('copies', 'passes over the original', ({ passes }) => (passes > 0 ? passes : null)),
  ];
  return new Map(
    [['quality-seconds', bySeconds] as const, ['quality-work', byWork] as const]
      .filter(([, panels]) => panels.length > 0)
      .map(([name, panels]) => [name, picture(base, panels)]),
  );
}

function seriesOf(
  rows: readonly QualityRow[],
  xOf: (row: QualityRow) => number | null,
): readonly Series[] {
  return [...new Set(rows.map(({ name }) => name))].map((name) => ({
    name,
    points: rows
      .filter((row) => row.name === name)
      .sort((a, b) => a.steps - b.steps)
      .flatMap((row): Point[] => {
        const x = xOf(row);
        return x === null ? [] : [[x, row.loss]];
      }),
  }));
}

function picture(base: QualityScore, panels: readonly Panel[]): string {
  const names = at(panels, 0).series.map(({ name }) => name);
  const losses = panels.flatMap(({ series }) =>
    series.flatMap(({ points }) => points.map(([, loss]) => loss)),
  );
  const domain = [Math.min(...losses), Math.max(...losses)] as const;
  const longest = names.reduce((most, { length }) => Math.max(most, length), 0);
  const width = Math.max(panels.length * size.width, inner.left + 20 + longest * letterWidth);
  const height = size.height + names.length * legendRow + 8;
  const title = `Test loss of jobs that are done (base: ${base.loss.toFixed(2)}) against ${[...new Set(panels.map(({ xLabel }) => xLabel))].join(' and ')}, both axes logarithmic`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<style>
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #24292f; }
.faint { fill: #57606a; }
.name { font-weight: 600; }
.grid { stroke: #d0d7de; }
.line { fill: none; stroke-width: 1.75; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.faint { fill: #9da7b3; }
.grid { stroke: #30363d; }
.marks { filter: brightness(1.7); }
}
</style>
${panels.map((panel, index) => `<g transform="translate(${index * size.width} 0)">${panelOf(panel, domain)}</g>`).join('\n')}
${names.map(legend).join('\n')}
</svg>
`;
}

function panelOf({ title, xLabel, series }: Panel, [low, high]: readonly [number, number]): string {
  const all = series.flatMap(({ points }) => points.map(([x]) => x));
  const x = scaleLog()
    .domain([Math.min(...all) / 1.1, Math.max(...all) * 1.1])
    .range([inner.left, size.width - inner.right]);
  const y = scaleLog()
    .domain([low / 1.04, high * 1.04])
    .range([size.height - inner.bottom, inner.top]);
  const path = line<Point>(
    ([px]) => x(px),
    ([, loss]) => y(loss),
  ).digits(1);
  const yTicks = scaleLinear().domain(y.domain()).ticks(6);
  return [
    '<text class="faint" x="4" y="16">loss</text>',
    `<text class="name" x="${inner.left}" y="16">${escaped(title)}</text>`,
    ...yTicks.map((tick) => {
      const place = y(tick).toFixed(1);
      return `<line class="grid" x1="${inner.left}" x2="${size.width - inner.right}" y1="${place}" y2="${place}"/><text class="faint" x="${inner.left - 6}" y="${place}" dy="0.32em" text-anchor="end">${tick}</text>`;
    }),
    ...spaced(x.ticks(8), x).map(
      (tick) =>
        `<text class="faint" x="${x(tick).toFixed(1)}" y="${size.height - inner.bottom + 16}" text-anchor="middle">${tick}</text>`,
    ),
    `<text class="faint" x="${(inner.left + size.width - inner.right) / 2}" y="${size.height - 10}" text-anchor="middle">${escaped(xLabel)}</text>`,
    '<g class="marks">',
    ...series.flatMap(({ points }, index) => [
      `<path class="line" stroke="${lookOf(index)}" d="${path(points) ?? ''}"/>`,
      ...points.map(([px, loss]) => mark(index, x(px), y(loss))),
    ]),
    '</g>',
  ].join('\n');
}

/** Ticks that leave room for their numbers. */
function spaced(ticks: readonly number[], x: (tick: number) => number): readonly number[] {
  const taken: number[] = [];
  for (const tick of ticks)
    if (x(tick) - x(taken.at(-1) ?? 0) >= 30 || taken.length === 0) taken.push(tick);
  return taken;
}

function legend(name: string, index: number): string {
  const top = size.height + index * legendRow + 6;
  return `<g class="marks">${mark(index, inner.left, top)}</g><text x="${inner.left + 12}" y="${top}" dy="0.32em">${escaped(name)}</text>`;
}

function mark(index: number, x: number, y: number): string {
  const shape = symbol(at(symbolsFill, index % symbolsFill.length), 44)() ?? '';
  return `<path fill="${lookOf(index)}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)})" d="${shape}"/>`;
}

function lookOf(index: number): string {
  return at(looks, index % looks.length);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
