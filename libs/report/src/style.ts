import { Html } from './html.js';

/** Colours have a contrast of 4.5 to 1 and more against their grounds in both schemes. */
export const style = new Html(`
:root { color-scheme: light dark; --ground: #ffffff; --raised: #f5f6f8; --text: #1b1f24; --faint: #57606a; --edge: #d0d7de; --grid: #e4e8ec; --a: #0b62c4; --b: #a8480c; --rule: #b3261e; --bar: #7aa7d9; --good: #1a6b34; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --raised: #1d2127; --text: #e6e9ed; --faint: #a3adb8; --edge: #3a424c; --grid: #2a3038; --a: #6cb2ff; --b: #f3a55f; --rule: #ff8a80; --bar: #3f6ea3; --good: #6fd08c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--edge); }
p { margin: .5rem 0; }
.lead, .note, footer { color: var(--faint); }
.note { font-size: .875rem; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1.5rem 0 0; padding: 0; }
.facts div { background: var(--raised); border: 1px solid var(--edge); border-radius: 6px; padding: .6rem .8rem; }
.facts dt { color: var(--faint); font-size: .8125rem; }
.facts dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.warning { border: 1px solid var(--rule); border-left-width: 6px; border-radius: 6px; padding: .6rem .9rem; margin: 1.25rem 0 0; }
figure { margin: 1.25rem 0 1.75rem; }
figcaption { font-weight: 600; margin-bottom: .25rem; }
.chart, .table { overflow-x: auto; }
.chart svg { display: block; }
.chart svg.scaled { width: 100%; min-width: 30rem; height: auto; }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg .value, svg .rule-name { paint-order: stroke; stroke: var(--ground); stroke-width: 4; stroke-linejoin: round; }
svg .axis, svg .small { fill: var(--faint); }
svg .small { font-size: 11px; }
svg .panel-name { font-size: 12px; }
svg .rule-name { fill: var(--rule); font-size: 12px; }
svg .grid { stroke: var(--grid); }
svg .tick { stroke: var(--faint); }
svg .rule { stroke: var(--rule); stroke-width: 1.5; stroke-dasharray: 6 4; }
svg .line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
svg .line.a { stroke: var(--a); }
svg .line.b { stroke: var(--b); stroke-dasharray: 5 3; }
svg .line.dots { stroke: var(--b); }
svg circle.dots { fill: var(--ground); stroke: var(--b); stroke-width: 2; }
svg .bar { fill: var(--bar); }
svg .bar.chosen { fill: var(--a); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; margin: 0 0 .25rem; padding: 0; font-size: .875rem; }
.legend svg { vertical-align: middle; margin-right: .4rem; }
details { font-size: .875rem; margin: .25rem 0; }
summary { cursor: pointer; color: var(--a); width: fit-content; }
:focus-visible { outline: 2px solid var(--a); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; margin: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--edge); font-weight: 400; overflow-wrap: anywhere; }
tbody th { min-width: 7.5rem; }
thead th { color: var(--faint); }
.answers td, .answers th { white-space: pre-wrap; min-width: 11rem; max-width: 22rem; }
.chosen-row th, .chosen-row td { font-weight: 600; }
pre { background: var(--raised); border: 1px solid var(--edge); border-radius: 6px; padding: .75rem .9rem; margin: .5rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.5 ui-monospace, monospace; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; }
.pictures figure { margin: 0; }
.pictures figcaption { font-weight: 400; font-size: .875rem; margin: .25rem 0 0; }
.pictures img { width: 100%; height: auto; border-radius: 4px; display: block; }
`);
