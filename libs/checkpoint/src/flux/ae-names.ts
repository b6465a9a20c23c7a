/** What a tensor of the autoencoder is in diffusers. */
export interface AeTensor {
  readonly name: string;
  /** Stored with the extents of a pixel, of which diffusers' linear layer has none. */
  readonly isPixelwise: boolean;
}

/** Of attention between the halves of encoder and decoder. */
const attention: ReadonlyMap<string, string> = new Map([
  ['norm', 'group_norm'],
  ['q', 'to_q'],
  ['k', 'to_k'],
  ['v', 'to_v'],
  ['proj_out', 'to_out.0'],
]);

const number = '(0|[1-9]\\d{0,3})';
const residual = '(norm1|conv1|norm2|conv2|nin_shortcut)';
const patterns = {
  level: new RegExp(`^(down|up)\\.${number}\\.block\\.${number}\\.${residual}$`),
  sampler: new RegExp(`^(down|up)\\.${number}\\.(downsample|upsample)\\.conv$`),
  middle: new RegExp(`^mid\\.block_([12])\\.${residual}$`),
  attention: /^mid\.attn_1\.(norm|q|k|v|proj_out)$/,
};

/**
 * diffusers' name of a tensor of the single-file layout; null: no autoencoder has it. There the
 * decoder counts its levels from the last one that it runs.
 * @param levels how often the encoder halves an image, and once more
 */
export function aeTensor(stored: string, levels: number): AeTensor | null {
  const [, half, path, kind] = /^(encoder|decoder)\.(.+)\.(weight|bias)$/.exec(stored) ?? [];
  if (half === undefined || path === undefined || kind === undefined)
    return /^(post_)?quant_conv\.(weight|bias)$/.test(stored) ? plain(stored) : null;
  const inner = moduleOf(path, { isDecoder: half === 'decoder', levels });
  if (inner === null) return null;
  const isPixelwise = kind === 'weight' && /attentions\.0\.to_/.test(inner);
  return { name: `${half}.${inner}.${kind}`, isPixelwise };
}

interface Half {
  readonly isDecoder: boolean;
  readonly levels: number;
}

function moduleOf(path: string, half: Half): string | null {
  if (path === 'conv_in' || path === 'conv_out') return path;
  if (path === 'norm_out') return 'conv_norm_out';
  const [, block, part] = patterns.middle.exec(path) ?? [];
  if (block !== undefined && part !== undefined)
    return `mid_block.resnets.${Number(block) - 1}.${residualPart(part)}`;
  const [, linear] = patterns.attention.exec(path) ?? [];
  if (linear !== undefined) return `mid_block.attentions.0.${attention.get(linear)}`;
  return levelModule(path, half);
}

function levelModule(path: string, half: Half): string | null {
  const [, way, level, block, part] = patterns.level.exec(path) ?? [];
  if (part !== undefined) {
    const blocks = blocksAt(way, Number(level), half);
    return blocks && `${blocks}.resnets.${block}.${residualPart(part)}`;
  }
  const [, sampledWay, sampledLevel, sampler] = patterns.sampler.exec(path) ?? [];
  if (sampler !== `${sampledWay}sample`) return null;
  const blocks = blocksAt(sampledWay, Number(sampledLevel), half);
  return blocks && `${blocks}.${sampler}rs.0.conv`;
}

function blocksAt(
  way: string | undefined,
  level: number,
  { isDecoder, levels }: Half,
): string | null {
  if (way !== (isDecoder ? 'up' : 'down') || level >= levels) return null;
  return `${way}_blocks.${isDecoder ? levels - 1 - level : level}`;
}

function residualPart(part: string): string {
  return part === 'nin_shortcut' ? 'conv_shortcut' : part;
}

function plain(name: string): AeTensor {
  return { name, isPixelwise: false };
}
