import { currentName } from '@emloc/checkpoint';
import { linearModules, type Model, type ModelLinear } from '@emloc/models';

type Widths = Pick<ModelLinear, 'inFeatures' | 'outFeatures'>;

const suffix = '.weight';

/**
 * Every linear layer that PEFT sees in the class that opens a model's folder: of a wrapper also
 * those beside its language model, whose names may end as the language model's do.
 */
export function peftModules({ layout, checkpoint }: Model): ReadonlyMap<string, Widths> {
  const modules = new Map<string, Widths>(linearModules(layout));
  const { within, repeated, ignored = [] } = layout.others;
  if (within === null) return modules;
  const own = new Set(
    layout.pages.flatMap(({ tensors }) => tensors.map(({ checkpointName }) => checkpointName)),
  );
  for (const name of repeated) own.add(name);
  for (const [name, { shape }] of checkpoint.tensors) {
    const [outFeatures, inFeatures, ...rest] = shape;
    if (own.has(name) || !name.endsWith(suffix) || rest.length > 0) continue;
    if (ignored.some((prefix) => name.startsWith(prefix))) continue;
    if (outFeatures === undefined || inFeatures === undefined) continue;
    modules.set(currentName(name).slice(0, -suffix.length), { inFeatures, outFeatures });
  }
  return modules;
}
