import { TensorScope, type Device, type Tensor } from '@emloc/device';

import { checkedTrace } from './checked-trace.js';
import { downloadStatistic, type StatisticsMemory } from './statistics-memory.js';
import type { StatisticPlan } from './statistics-plan.js';
import type { LayerStatistic, LayerStatistics, StatisticValues } from './statistics.js';

interface Accumulation {
  readonly plan: StatisticPlan;
  /** (features, features) in the statistics dtype */
  readonly sum: Tensor;
}

/** t = Σ ‖x‖² of a group of which no G is kept. */
interface SquaredNorm {
  /** float32 (1): of the rows seen last, and of all rows. */
  readonly latest: Tensor;
  readonly total: Tensor;
}

/**
 * Accumulates the planned statistics of one block on the device; holds them, in category
 * 'statistics', until `finish` or `dispose`.
 */
export class StatisticsAccumulator {
  readonly #scope: TensorScope;
  /**
   * By the layer whose observation feeds it: a group's shared input is taken from its first layer.
   */
  readonly #accumulations = new Map<string, Accumulation>();
  readonly #squaredNorms = new Map<string, SquaredNorm>();
  readonly #normFeeders = new Map<string, SquaredNorm>();

  /** @throws OutOfBudgetError; nothing is held then */
  constructor(
    private readonly device: Device,
    /** Block that is calibrated, for messages. */
    private readonly label: string,
    plans: readonly StatisticPlan[],
  ) {
    this.#scope = new TensorScope(device, `statistics of ${label}`);
    try {
      for (const plan of plans) this.#open(plan);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /**
   * Adds the rows of one batch. x (N, in) and y (N, out) without bias are real tokens in the
   * compute dtype and stay the caller's. Layers without a plan are ignored.
   */
  observe(linear: string, x: Tensor, y: Tensor): void {
    const { kernels } = this.device;
    const accumulation = this.#accumulations.get(linear);
    if (accumulation)
      kernels.gram({ x: accumulation.plan.kind === 'input' ? x : y, out: accumulation.sum });
    const norm = this.#normFeeders.get(linear);
    if (!norm) return;
    kernels.squaredNorms({ tensors: [x], out: norm.latest });
    kernels.add({ x: norm.latest, out: norm.total });
  }

  /**
   * Brings the statistics to the host, into `memory` where it is given, and frees the device's;
   * once.
   * @throws EmulatorError EMULATOR_NON_FINITE naming the layer
   */
  async finish(memory: StatisticsMemory | null = null): Promise<LayerStatistics> {
    using _held = this.#scope;
    const squaredNorms = new Map<string, number>();
    for (const [group, { total }] of this.#squaredNorms)
      squaredNorms.set(group, Number((await this.device.download(total))[0]));
    const statistics: LayerStatistic[] = [];
    for (const { plan, sum } of this.#accumulations.values()) {
      const matrix = await downloadStatistic(this.device, memory, sum);
      this.#scope.free(sum);
      const trace = this.#checkedTrace(plan, matrix);
      const { kind, linears, features, inFeatures } = plan;
      statistics.push({
        kind,
        linears,
        features,
        inFeatures,
        matrix,
        squaredNorm: squaredNorms.get(plan.group) ?? trace,
      });
    }
    return { label: this.label, statistics, gradients: [] };
  }

  /** Frees what is held; may be called again. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    this.#scope[Symbol.dispose]();
    this.#accumulations.clear();
    this.#squaredNorms.clear();
    this.#normFeeders.clear();
  }

  #open(plan: StatisticPlan): void {
    const [feeder] = plan.linears;
    if (feeder === undefined) return;
    const { features } = plan;
    this.#accumulations.set(feeder, {
      plan,
      sum: this.#zeros([features, features], this.device.profile.statisticsDType, feeder),
    });
    if (plan.kind === 'input' || this.#squaredNorms.has(plan.group)) return;
    const norm = {
      latest: this.#zeros([1], 'float32', `${plan.group} norm`),
      total: this.#zeros([1], 'float32', `${plan.group} norms`),
    };
    this.#squaredNorms.set(plan.group, norm);
    this.#normFeeders.set(feeder, norm);
  }

  #zeros(shape: readonly number[], dtype: 'float32' | 'float64', label: string): Tensor {
    const tensor = this.#scope.allocate({ shape, dtype, label, category: 'statistics' });
    this.device.kernels.fill({ out: tensor, value: 0 });
    return tensor;
  }

  #checkedTrace({ linears, features }: StatisticPlan, matrix: StatisticValues): number {
    return checkedTrace(matrix, features, {
      label: this.label,
      what: `the statistics of ${linears.join(', ')} are`,
    });
  }
}
