import type { PlainTuneOptions, StoredObject } from '@emloc/contracts';
import { mostFurtherFiles, optionTable } from '@emloc/pipeline';
import type { FieldViolation } from '@emloc/rpc';

import { sha256OfDataset } from '../resource-names.js';
import type { ModelKind } from './model.js';
import { confine } from './paths.js';

/** Which data a client may ask for. */
export interface SourceLimits {
  readonly dataRoots: readonly string[];
  /** Where a data set of the client's tenant is; undefined: it has none with this hash. */
  readonly findDataset: (sha256: string) => Promise<StoredObject | undefined>;
}

/** Options that say where data is. */
export const sourceNames = ['data', 'validation', 'classData'] as const;

type SourceName = (typeof sourceNames)[number];
type Source = PlainTuneOptions['data'];
type GivenSources = Pick<PlainTuneOptions, SourceName | 'moreData'>;

/** Uploaded data sets by the options that name them. */
export type SourceObjects = Partial<Record<SourceName, StoredObject>> & {
  /** Those of `moreData`, in its order. */
  readonly moreData?: readonly StoredObject[];
};

interface CheckedSources {
  /** Real paths, and names of uploaded data sets. */
  readonly plain: GivenSources;
  readonly objects: SourceObjects;
  readonly violations: readonly FieldViolation[];
}

type CheckedSource =
  | { readonly path: string }
  | { readonly object: StoredObject }
  | { readonly violation: FieldViolation };

interface CheckOptions extends SourceLimits {
  /** Of field names, such as `job.options`. */
  readonly prefix: string;
}

/**
 * Where the data of a job is.
 * @param kind of the model; null: it is not known, and what is given may be a file or a folder
 */
export async function checkSources(
  given: GivenSources,
  kind: ModelKind | null,
  { prefix, ...limits }: CheckOptions,
): Promise<CheckedSources> {
  const plain: Partial<Record<SourceName, Source>> = {};
  const objects: Partial<Record<SourceName, StoredObject>> = {};
  const violations: FieldViolation[] = [];
  for (const name of sourceNames) {
    const source = given[name];
    if (source === undefined || source === null) continue;
    const field = `${prefix}.${optionTable[name].field}`;
    const checked = await checkSource(field, source, {
      ...limits,
      kind: name === 'classData' ? 'pictures' : kind,
    });
    if ('violation' in checked) violations.push(checked.violation);
    else plain[name] = 'path' in checked ? checked.path : source;
    if ('object' in checked) objects[name] = checked.object;
  }
  const more = await checkMoreData(given.moreData ?? [], { prefix, ...limits, kind });
  return {
    plain: { data: '', ...plain, ...(more.plain.length > 0 ? { moreData: more.plain } : {}) },
    objects: { ...objects, ...(more.objects.length > 0 ? { moreData: more.objects } : {}) },
    violations: [...violations, ...more.violations],
  };
}

async function checkMoreData(
  given: readonly Source[],
  { prefix, ...limits }: CheckOptions & { readonly kind: ModelKind | null },
) {
  const field = `${prefix}.${optionTable.moreData.field}`;
  const plain: Source[] = [];
  const objects: StoredObject[] = [];
  const violations: FieldViolation[] = [];
  if (given.length > mostFurtherFiles) {
    const description = `${given.length} files given, at most ${mostFurtherFiles} are allowed`;
    return { plain, objects, violations: [{ field, description }] };
  }
  for (const [index, source] of given.entries()) {
    const checked = await checkSource(`${field}[${index}]`, source, limits);
    if ('violation' in checked) violations.push(checked.violation);
    else plain.push('path' in checked ? checked.path : source);
    if ('object' in checked) objects.push(checked.object);
  }
  return { plain, objects, violations };
}

async function checkSource(
  field: string,
  source: Source,
  { kind, dataRoots, findDataset }: SourceLimits & { readonly kind: ModelKind | null },
): Promise<CheckedSource> {
  const refuse = (description: string): CheckedSource => ({
    violation: { field: `${field}.dataset`, description },
  });
  if (typeof source === 'string')
    return confine(field, source, {
      roots: dataRoots,
      option: 'data-roots',
      kind: kind === 'text' ? 'file' : 'folder or file',
    });
  const quoted = JSON.stringify(source.dataset.slice(0, 100));
  const sha256 = sha256OfDataset(source.dataset);
  const object = sha256 === undefined ? undefined : await findDataset(sha256);
  return object ? { object } : refuse(`${quoted} was not found`);
}
