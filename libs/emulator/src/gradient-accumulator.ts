import { get } from '@emloc/checked';
import { TensorScope, type Device, type Tensor } from '@emloc/device';

import { checkedTrace } from './checked-trace.js';
import { downloadStatistic, type StatisticsMemory } from './statistics-memory.js';
import type { GradientStatisticPlan } from './statistics-plan.js';
import type { GradientStatistic } from './statistics.js';

interface Accumulation {
  readonly plan: GradientStatisticPlan;
  /** (features, features) in the statistics dtype */
  readonly sum: Tensor;
  /** Σ ‖g‖² where O is not kept, float32 (1): of the rows seen last, and of all rows. */
  readonly norm: { readonly latest: Tensor; readonly total: Tensor } | null;
}

/**
 * Accumulates the statistics of one block's gradients on the device; holds them, in category
 * 'statistics', until `finish` or `dispose`.
 */
export class GradientAccumulator {
  readonly #scope: TensorScope;
  /** By linear. */
  readonly #accumulations = new Map<string, Accumulation>();

  /** @throws OutOfBudgetError; nothing is held then */
  constructor(
    private readonly device: Device,
    /** Block that is calibrated, for messages. */
    private readonly label: string,
    plans: readonly GradientStatisticPlan[],
  ) {
    this.#scope = new TensorScope(device, `gradients of ${label}`);
    try {
      for (const plan of plans) this.#accumulations.set(plan.linear, this.#open(plan));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Which gradients of a linear are summed: its outputs', its inputs' through it, or none. */
  kindOf(linear: string): 'input' | 'output' | null {
    return this.#accumulations.get(linear)?.plan.kind ?? null;
  }

  /**
   * Adds the rows of one batch: g (N, out) and, where they are asked for, g W (N, in) in the
   * compute dtype, which stay the caller's.
   */
  observe(linear: string, g: Tensor, inputs: Tensor | null): void {
    const { kernels } = this.device;
    const { sum, norm } = get(this.#accumulations, linear);
    kernels.gram({ x: inputs ?? g, out: sum });
    if (!norm) return;
    kernels.squaredNorms({ tensors: [g], out: norm.latest });
    kernels.add({ x: norm.latest, out: norm.total });
  }

  /**
   * Brings the statistics to the host, into `memory` where it is given, and frees the device's;
   * once.
   * @throws EmulatorError EMULATOR_NON_FINITE naming the layer
   */
  async finish(memory: StatisticsMemory | null = null): Promise<readonly GradientStatistic[]> {
    using _held = this.#scope;
    const statistics: GradientStatistic[] = [];
    for (const { plan, sum, norm } of this.#accumulations.values()) {
      const matrix = await downloadStatistic(this.device, memory, sum);
      this.#scope.free(sum);
      const trace = checkedTrace(matrix, plan.features, {
        label: this.label,
        what: `the gradients of ${plan.linear} are`,
      });
      const squaredNorm = norm ? Number((await this.device.download(norm.total))[0]) : trace;
      statistics.push({ ...plan, matrix, squaredNorm });
    }
    return statistics;
  }

  /** Frees what is held; may be called again. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  dispose(): void {
    this.#scope[Symbol.dispose]();
    this.#accumulations.clear();
  }

  #open(plan: GradientStatisticPlan): Accumulation {
    const { features, kind, linear } = plan;
    const sum = this.#zeros([features, features], this.device.profile.statisticsDType, linear);
    if (kind === 'output') return { plan, sum, norm: null };
    const latest = this.#zeros([1], 'float32', `${linear} norm`);
    const total = this.#zeros([1], 'float32', `${linear} norms`);
    return { plan, sum, norm: { latest, total } };
  }

  #zeros(shape: readonly number[], dtype: 'float32' | 'float64', label: string): Tensor {
    const tensor = this.#scope.allocate({ shape, dtype, label, category: 'statistics' });
    this.device.kernels.fill({ out: tensor, value: 0 });
    return tensor;
  }
}
