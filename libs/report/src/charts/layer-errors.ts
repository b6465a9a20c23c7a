import { scaleLinear } from 'd3-scale';

import { html, type Html } from '../html.js';
import { percentText } from '../numbers.js';
import { figure } from './figure.js';

export interface LayerError {
  readonly name: string;
  readonly ratio: number | null;
  readonly rank: number | null;
  readonly relativeError: number;
}

/** Panels beside each other and bars in one: more kinds or blocks are in the table alone. */
const mostPanels = 24;
const panel = { width: 156, height: 108, gap: 8, title: 18, bottom: 16, left: 34 };
const columns = 4;

/**
 * Errors of an emulator's linear layers: a panel for each kind of layer, a bar for each block, all
 * on one axis.
 */
export function layerErrors(layers: readonly LayerError[]): Html {
  const kinds = [...grouped(layers)].slice(0, mostPanels);
  const highest = layers.reduce((most, { relativeError }) => Math.max(most, relativeError), 0);
  const y = scaleLinear()
    .domain([0, highest || 1])
    .nice(2)
    .range([panel.height - panel.bottom, panel.title + 6]);
  const rows = Math.ceil(kinds.length / columns);
  const drawing = kinds.map(([kind, list], index) => {
    const [left, top] = [
      (index % columns) * (panel.width + panel.gap),
      Math.floor(index / columns) * (panel.height + panel.gap),
    ];
    return html`<g transform="translate(${left} ${top})">${panelOf(kind, list, y)}</g>`;
  });
  const worst = layers.reduce((a, b) => (b.relativeError > a.relativeError ? b : a));
  return figure({
    id: 'layer-errors',
    title: 'Error of each layer’s emulator',
    description: `One panel for each kind of linear layer, one bar for each block. The largest error is ${percentText(worst.relativeError)}, in ${worst.name}.`,
    note: `Share of a layer’s output on the calibration rows that its low-rank product misses, by block. Largest: ${percentText(worst.relativeError)} in ${worst.name}.`,
    width: columns * (panel.width + panel.gap) - panel.gap,
    height: rows * (panel.height + panel.gap) - panel.gap,
    drawing,
    table: {
      head: ['layer', 'error', 'ratio', 'rank'],
      rows: layers.map(({ name, relativeError, ratio, rank }) => [
        name,
        percentText(relativeError),
        ratio === null ? '' : String(ratio),
        rank === null ? '' : String(rank),
      ]),
    },
  });
}

type Scale = ReturnType<typeof scaleLinear<number, number>>;

function panelOf(kind: string, layers: readonly LayerError[], y: Scale): Html {
  const right = panel.width - 4;
  const step = (right - panel.left) / layers.length;
  const bottom = panel.height - panel.bottom;
  const bars = layers.map(({ relativeError }, index) => {
    const top = y(relativeError);
    return html`<rect
      class="bar"
      x="${(panel.left + index * step + step * 0.1).toFixed(1)}"
      y="${top.toFixed(1)}"
      width="${(step * 0.8).toFixed(1)}"
      height="${Math.max(0.5, bottom - top).toFixed(1)}"
    />`;
  });
  const ticks = y.ticks(2).map((tick) => {
    const at = y(tick).toFixed(1);
    return html`<line class="grid" x1="${panel.left}" x2="${right}" y1="${at}" y2="${at}" /><text
        class="small"
        x="${panel.left - 4}"
        y="${at}"
        dy="0.32em"
        text-anchor="end"
        >${Math.round(100 * tick)} %</text
      >`;
  });
  return html`<text class="panel-name" x="${panel.left}" y="12">${shortened(kind)}</text
    >${ticks}${bars}<text class="small" x="${panel.left}" y="${panel.height - 3}">0</text
    ><text class="small" x="${right}" y="${panel.height - 3}" text-anchor="end"
      >${layers.length - 1}</text
    >`;
}

/** A module's path without what numbers its block: `self_attn.q_proj`. */
function kindOf(name: string): string {
  const parts = name.split('.');
  const block = parts.findIndex((part) => /^\d+$/.test(part));
  return block === -1 ? name : parts.slice(block + 1).join('.');
}

/** The end says which it is. */
function shortened(kind: string): string {
  return kind.length > 20 ? `…${kind.slice(-19)}` : kind;
}

function grouped(layers: readonly LayerError[]): Map<string, LayerError[]> {
  const kinds = new Map<string, LayerError[]>();
  for (const layer of layers) {
    const kind = kindOf(layer.name);
    const list = kinds.get(kind);
    if (list) list.push(layer);
    else kinds.set(kind, [layer]);
  }
  return kinds;
}
