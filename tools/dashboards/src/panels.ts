import { PanelBuilder as BarGaugePanelBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  FieldColorBuilder,
  FieldColorModeId,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type Panel,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatPanelBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeSeriesPanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The data source that the viewer chooses. */
export const dataSource = Object.freeze({ type: 'prometheus', uid: '${datasource}' });

interface Query {
  /** PromQL. */
  readonly expr: string;
  /** Name of a series, with its labels in double braces. */
  readonly legend: string;
}

interface PanelOptions {
  readonly title: string;
  /** What is seen, and what to think of it. */
  readonly description: string;
  /** Of @grafana/grafana-foundation-sdk/units. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width: number;
  /** From this value on the panel is red. */
  readonly limit?: number;
  readonly decimals?: number;
}

export interface TimeSeriesOptions extends PanelOptions {
  /** Series on top of each other. */
  readonly stacked?: boolean;
  /** Of stacked series, the names of those that are lines over the stack. */
  readonly lines?: readonly string[];
  /** Counts of an interval, where a line would tell of values in between. */
  readonly bars?: boolean;
  readonly logarithmic?: boolean;
  readonly max?: number;
}

const seriesHeight = 8;
const valueHeight = 4;
const barsHeight = seriesHeight;

/** Values over time. */
export function timeSeries(options: TimeSeriesOptions): Builder<Panel> {
  const {
    title,
    description,
    unit,
    queries,
    width,
    limit,
    decimals,
    stacked = false,
    lines = [],
    bars = false,
    logarithmic = false,
    max,
  } = options;
  const panel = new TimeSeriesPanelBuilder()
    .title(title)
    .description(description)
    .datasource(dataSource)
    .unit(unit)
    .span(width)
    .height(seriesHeight)
    .targets(queries.map((query, index) => target(query, index).range()))
    .drawStyle(bars ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(stacked || bars ? 40 : 8)
    .showPoints(VisibilityMode.Never)
    .stacking(
      new StackingConfigBuilder()
        .mode(stacked ? StackingMode.Normal : StackingMode.None)
        .group('A'),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max']),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    );
  if (logarithmic)
    panel.scaleDistribution(
      new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10),
    );
  else panel.min(0);
  if (max !== undefined) panel.max(max);
  if (decimals !== undefined) panel.decimals(decimals);
  if (limit !== undefined)
    panel
      .thresholds(redFrom(limit))
      .thresholdsStyle(
        new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed),
      );
  for (const name of lines) {
    panel.overrideByName(name, [
      { id: 'custom.stacking', value: { mode: StackingMode.None, group: 'A' } },
      { id: 'custom.fillOpacity', value: 0 },
      { id: 'custom.lineWidth', value: 2 },
    ]);
  }
  return panel;
}

/** One value each, as it is now or over the whole time that is shown. */
export function values({
  title,
  description,
  unit,
  queries,
  width,
  limit,
  decimals,
}: PanelOptions): Builder<Panel> {
  const panel = new StatPanelBuilder()
    .title(title)
    .description(description)
    .datasource(dataSource)
    .unit(unit)
    .span(width)
    .height(valueHeight)
    .targets(queries.map((query, index) => target(query, index).instant()))
    .reduceOptions(lastValue())
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value);
  if (decimals !== undefined) panel.decimals(decimals);
  return limit === undefined
    ? panel.colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor('text'))
    : panel.thresholds(redFrom(limit));
}

/** One value for each of several series, side by side. */
export function barGauge({
  title,
  description,
  unit,
  queries,
  width,
  decimals,
}: Omit<PanelOptions, 'limit'>): Builder<Panel> {
  const panel = new BarGaugePanelBuilder()
    .title(title)
    .description(description)
    .datasource(dataSource)
    .unit(unit)
    .span(width)
    .height(barsHeight)
    .min(0)
    .targets(queries.map((query, index) => target(query, index).instant()))
    .reduceOptions(lastValue())
    .orientation(VizOrientation.Horizontal)
    .displayMode(BarGaugeDisplayMode.Basic)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName));
  return decimals === undefined ? panel : panel.decimals(decimals);
}

function target({ expr, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .datasource(dataSource)
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .expr(expr)
    .legendFormat(legend)
    .format(PromQueryFormat.TimeSeries);
}

function lastValue(): ReduceDataOptionsBuilder {
  return new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false);
}

function redFrom(limit: number): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([
    { value: null, color: 'green' },
    { value: limit, color: 'red' },
  ]);
}
