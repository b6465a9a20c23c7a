/**
 * A module of the single-file layout, and the modules of diffusers whose rows it holds. Paths have
 * `N` where the number of the block stands.
 */
export interface BflModule {
  readonly stored: string;
  /** In the order of their rows. */
  readonly modules: readonly string[];
  /** Whether the halves of its rows stand the other way round: (shift, scale) for (scale, shift). */
  readonly isSwapped?: boolean;
  /** The module's only tensor where it is no linear layer. */
  readonly onlyTensor?: 'scale';
}

const attentionOfDouble = (stream: 'img' | 'txt', prefix: string): BflModule[] => {
  const [q, k] = stream === 'img' ? ['norm_q', 'norm_k'] : ['norm_added_q', 'norm_added_k'];
  const norm = `double_blocks.N.${stream}_attn.norm`;
  return [
    { stored: `${norm}.query_norm`, modules: [`${prefix}.attn.${q}`], onlyTensor: 'scale' },
    { stored: `${norm}.key_norm`, modules: [`${prefix}.attn.${k}`], onlyTensor: 'scale' },
  ];
};

const double = 'transformer_blocks.N';
const single = 'single_transformer_blocks.N';
const embedder = (stored: string, path: string): BflModule[] => [
  { stored: `${stored}.in_layer`, modules: [`time_text_embed.${path}.linear_1`] },
  { stored: `${stored}.out_layer`, modules: [`time_text_embed.${path}.linear_2`] },
];

/** Every module of a FLUX transformer. */
export const bflModules: readonly BflModule[] = Object.freeze([
  { stored: 'img_in', modules: ['x_embedder'] },
  { stored: 'txt_in', modules: ['context_embedder'] },
  ...embedder('time_in', 'timestep_embedder'),
  ...embedder('guidance_in', 'guidance_embedder'),
  ...embedder('vector_in', 'text_embedder'),
  { stored: 'double_blocks.N.img_mod.lin', modules: [`${double}.norm1.linear`] },
  { stored: 'double_blocks.N.txt_mod.lin', modules: [`${double}.norm1_context.linear`] },
  {
    stored: 'double_blocks.N.img_attn.qkv',
    modules: ['to_q', 'to_k', 'to_v'].map((name) => `${double}.attn.${name}`),
  },
  {
    stored: 'double_blocks.N.txt_attn.qkv',
    modules: ['add_q_proj', 'add_k_proj', 'add_v_proj'].map((name) => `${double}.attn.${name}`),
  },
  ...attentionOfDouble('img', double),
  ...attentionOfDouble('txt', double),
  { stored: 'double_blocks.N.img_attn.proj', modules: [`${double}.attn.to_out.0`] },
  { stored: 'double_blocks.N.txt_attn.proj', modules: [`${double}.attn.to_add_out`] },
  { stored: 'double_blocks.N.img_mlp.0', modules: [`${double}.ff.net.0.proj`] },
  { stored: 'double_blocks.N.img_mlp.2', modules: [`${double}.ff.net.2`] },
  { stored: 'double_blocks.N.txt_mlp.0', modules: [`${double}.ff_context.net.0.proj`] },
  { stored: 'double_blocks.N.txt_mlp.2', modules: [`${double}.ff_context.net.2`] },
  { stored: 'single_blocks.N.modulation.lin', modules: [`${single}.norm.linear`] },
  {
    stored: 'single_blocks.N.linear1',
    modules: ['attn.to_q', 'attn.to_k', 'attn.to_v', 'proj_mlp'].map((name) => `${single}.${name}`),
  },
  {
    stored: 'single_blocks.N.norm.query_norm',
    modules: [`${single}.attn.norm_q`],
    onlyTensor: 'scale',
  },
  {
    stored: 'single_blocks.N.norm.key_norm',
    modules: [`${single}.attn.norm_k`],
    onlyTensor: 'scale',
  },
  { stored: 'single_blocks.N.linear2', modules: [`${single}.proj_out`] },
  {
    stored: 'final_layer.adaLN_modulation.1',
    modules: ['norm_out.linear'],
    isSwapped: true,
  },
  { stored: 'final_layer.linear', modules: ['proj_out'] },
]);

const byStored: ReadonlyMap<string, BflModule> = new Map(
  bflModules.map((module) => [module.stored, module]),
);

/** What a stored module holds, with the number of its block; undefined: it is none of FLUX. */
export function bflModule(path: string): BflModule | undefined {
  const [, number] = /^(?:double|single)_blocks\.(0|[1-9]\d*)\./.exec(path) ?? [];
  if (number === undefined) return byStored.get(path);
  const module = byStored.get(path.replace(`_blocks.${number}.`, '_blocks.N.'));
  return module && { ...module, stored: path, modules: module.modules.map(numbered(number)) };
}

/** A path of the table with the number of a block. */
export function numbered(number: number | string): (path: string) => string {
  return (path) => path.replace('_blocks.N.', `_blocks.${number}.`);
}

/**
 * Rows of a stored module that each of its modules has: one has them all, of several each has
 * `width` but the fourth of `linear1`, which has the rest. null: they do not come out.
 */
export function rowsOfModules(
  { modules }: BflModule,
  { rows, width }: { readonly rows: number; readonly width: number },
): readonly number[] | null {
  if (modules.length === 1) return [rows];
  const [, , , mlp] = modules;
  const rest = rows - 3 * width;
  const isRight = mlp === undefined ? rest === 0 : rest > 0;
  if (!isRight) return null;
  return mlp === undefined ? [width, width, width] : [width, width, width, rest];
}
