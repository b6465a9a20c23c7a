/**
 * Why attention of a model has no such projection, for the end of an error's message; empty where
 * nothing is known of it.
 */
export function absenceOf(
  path: string,
  modules: Pick<ReadonlyMap<string, unknown>, 'has'>,
): string {
  const [, layer, projection] = /^(.*\.)([kv]_proj)$/.exec(path) ?? [];
  if (layer === undefined || modules.has(path)) return '';
  if (projection === 'v_proj' && modules.has(`${layer}k_proj`))
    return ': its keys and values are both what k_proj gives, so that LoRA on k_proj changes both';
  if (modules.has(`${layer}q_proj`) && !modules.has(`${layer}k_proj`))
    return ': this layer uses the keys and values of one before it';
  return '';
}
