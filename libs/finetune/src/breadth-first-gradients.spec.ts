import type { GradientObserver } from '@emloc/autograd';
import { at, get } from '@emloc/checked';
import type { ModelLayout } from '@emloc/models';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import { sharedLayout } from '../test/shared-chain.js';
import { openDevice, toyLayout, ToyRows, toySource } from '../test/toy-chain.js';
import { BreadthFirstGradients } from './breadth-first-gradients.js';
import { DeviceAdapter } from './device-adapter.js';
import { gradientsOf } from './gradients.js';
import { blankAdapter } from './lora.js';

/** By path of the linear: what was seen of it, batch after batch. */
type Seen = Map<string, number[][]>;

interface Observed {
  readonly g: Seen;
  readonly x: Seen;
  /** Names of pages, in the order in which they were visited. */
  readonly pages: readonly string[];
}

const batches = [[0], [1, 2]];

async function observe(
  layout: ModelLayout,
  {
    observed = layout.linears.map(({ path }) => path),
    kind = 'output',
    hostBytes,
    weights = 'least',
  }: {
    observed?: readonly string[];
    kind?: 'output' | 'input';
    hostBytes?: number;
    weights?: 'all' | 'least';
  } = {},
): Promise<Observed> {
  const device = openDevice();
  const source = toySource(layout);
  const bytesOf = weights === 'all' ? allDeviceBytes : minimumDeviceBytes;
  const deviceBytes = bytesOf(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  const [g, x]: [Seen, Seen] = [new Map(), new Map()];
  const pages: string[] = [];
  const pending: Promise<void>[] = [];
  const add = async (seen: Seen, path: string, values: Promise<ArrayLike<number>>) => {
    seen.set(path, [...(seen.get(path) ?? []), [...Array.from(await values)]]);
  };
  try {
    using pass = new BreadthFirstGradients({
      model: { device, layout, pager },
      batches: { source: new ToyRows(), rows: batches },
      observedIn: ({ index }) =>
        new Set(
          layout.linears
            .filter(({ block, path }) => block === index && observed.includes(path))
            .map(({ name }) => name),
        ),
      hostBytes,
    });
    pager.schedule(pass.pages);
    for (const visit of pass.visits) {
      const { block } = visit;
      pages.push(`${visit.direction} ${block.name}`);
      const pathOf = (name: string): string | undefined =>
        layout.linears.find((each) => each.block === block.index && each.name === name)?.path;
      const isObserved = (name: string): boolean => observed.includes(pathOf(name) ?? '');
      const gradientObserver: GradientObserver = {
        kindOf: (name) => (isObserved(name) ? kind : null),
        observe: (name, outputs, inputs) => {
          const path = pathOf(name) ?? '';
          pending.push(add(g, path, device.download(inputs ?? outputs)));
        },
      };
      const onLinear = (name: string, input: Parameters<typeof device.download>[0]): void => {
        if (isObserved(name)) pending.push(add(x, pathOf(name) ?? '', device.download(input)));
      };
      await pass.run(visit, { onLinear, gradientObserver });
    }
    await Promise.all(pending);
  } finally {
    await pager.close();
    expect(device.liveTensors).toBe(0);
    await device.close();
  }
  return { g, x, pages };
}

/** Gradients of B where A is the identity of the inputs: Σ gᵀ x. */
async function trainedGradients(
  layout: ModelLayout,
  path: string,
): Promise<{ readonly b: Float32Array; readonly rank: number }> {
  const linear = get(new Map(layout.linears.map((each) => [each.path, each])), path);
  const rank = Math.min(linear.inFeatures, linear.outFeatures);
  const blank = blankAdapter(layout, {
    ...{ rank, alpha: rank, useRslora: false, start: 'uniform' as const },
    targets: path.replaceAll('.', '\\.'),
  });
  const a = Float32Array.from({ length: rank * linear.inFeatures }, (_, i) =>
    i % linear.inFeatures === Math.floor(i / linear.inFeatures) ? 1 : 0,
  );
  const layers = new Map([[path, { ...get(blank.layers, path), a }]]);
  const device = openDevice();
  const source = toySource(layout);
  const deviceBytes = allDeviceBytes(source, device);
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  using adapter = DeviceAdapter.load(device, layout, { ...blank, layers }, { trainable: true });
  const total = new Float32Array(rank * linear.outFeatures);
  for (const rows of batches) {
    const rowSource = new ToyRows();
    const found = await gradientsOf({
      ...{ model: { device, layout, pager }, adapter, source: rowSource, rows },
    });
    const { lossWeight } = rowSource.shape(rows);
    get(found.gradients, path).b.forEach(
      (value, i) => (total[i] = at(total, i) + lossWeight * value),
    );
  }
  await pager.close();
  return { b: total, rank };
}

const chains = [
  ['streams of several readers', sharedLayout()],
  ['a frozen front and several streams', toyLayout()],
] as const;

describe.each(chains)('breadth-first gradients over %s', (_, layout) => {
  it('are those of training, at every linear', async () => {
    const { g, x } = await observe(layout);
    for (const { path, inFeatures, outFeatures } of layout.linears) {
      const { b, rank } = await trainedGradients(layout, path);
      const sums = new Float32Array(outFeatures * rank);
      for (const batch of [0, 1]) {
        const [gs, xs] = [at(get(g, path), batch), at(get(x, path), batch)];
        for (let row = 0; row < gs.length / outFeatures; row += 1)
          for (let out = 0; out < outFeatures; out += 1)
            for (let i = 0; i < rank; i += 1)
              sums[out * rank + i] =
                at(sums, out * rank + i) +
                at(gs, row * outFeatures + out) * at(xs, row * inFeatures + i);
      }
      const largest = Math.max(...b.map(Math.abs));
      sums.forEach((value, i) =>
        expect(Math.abs(value - at(b, i))).toBeLessThan(2e-4 * largest + 1e-6),
      );
    }
  });

  it('have the same bits paged or not, and where the forward runs twice for want of room', async () => {
    const expected = await observe(layout, { weights: 'all' });
    for (const hostBytes of [undefined, 1]) {
      const { g, x, pages } = await observe(layout, { hostBytes });
      expect([g, x]).toEqual([expected.g, expected.x]);
      const forwards = pages.filter((page) => page.startsWith('forward'));
      expect(new Set(forwards).size < forwards.length).toBe(hostBytes === 1);
    }
  });

  it('have the same bits whichever others are looked at', async () => {
    const all = await observe(layout);
    const ofInputs = await observe(layout, { kind: 'input' });
    for (const { path } of layout.linears) {
      expect((await observe(layout, { observed: [path] })).g).toEqual(
        new Map([[path, get(all.g, path)]]),
      );
      expect((await observe(layout, { observed: [path], kind: 'input' })).g).toEqual(
        new Map([[path, get(ofInputs.g, path)]]),
      );
    }
  });

  it('asks for each block once forward and once back, no lower than something is looked at', async () => {
    const last = layout.blocks.length - 1;
    const { pages } = await observe(layout);
    expect(pages.length).toBe(2 * last + 1);
    const highest = layout.linears.filter(({ block }) => block === last - 1);
    const few = await observe(layout, { observed: highest.map(({ path }) => path) });
    expect(few.pages.length).toBe(last + 2);
  });
});
