import { placeRows } from '@emloc/autograd';

import { readActivation, refuseQuantization, wrappedNames } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { DecoderNames, DecoderShape } from '../decoder-shape.js';
import { decoderChain } from '../decoder.js';
import type { ImageLimits } from '../image-limits.js';
import { layoutFrom, type BlockDeclaration } from '../layout.js';
import type { ModelFamily, ModelShape } from '../model-shape.js';
import { decoderIn, decoderOfType } from '../shape-of.js';
import {
  convertedIn,
  convertedNames,
  convertedPaths,
  originalNames,
  originalPaths,
  withinOriginal,
} from './names.js';
import {
  blocksUpTo,
  convertedTower,
  gridOf,
  originalTower,
  readShuffle,
  readTower,
  type TowerShape,
} from './read-vision.js';
import type { VisionShape } from './shape.js';
import { imageRows, imageStreams } from './streams.js';
import { visionBlocks, type VisionParts } from './vision.js';

/** InternVL 2 and 2.5 as their repositories have them. */
export const internvlChat: ModelFamily = {
  name: 'internvl',
  architectures: ['InternVLChatModel'],

  shape(config) {
    refuseQuantization(config);
    config.only('pad2square', [false]);
    // Weights under other names: tools/merge_lora.py of the original folds them in.
    for (const key of ['use_backbone_lora', 'use_llm_lora']) config.only(key, [0]);
    config.only('ps_version', ['v1', 'v2']);
    const tower = readTower(config.nested('vision_config'), originalTower);
    const tileSize = forcedSize(config, tower);
    const text = decoderIn(config.nested('llm_config'));
    const vision: VisionShape = {
      ...tower,
      blocks: blocksUpTo(config, 'select_layer', tower.layers),
      shuffleSize: readShuffle(config, tower.gridSize),
      projectorActivation: 'gelu',
    };
    const isDynamic = config.boolean('dynamic_image_size', false);
    return internvlShape(
      {
        ...text,
        names: text.names.map(withinOriginal),
        modules: withinModules(text),
      },
      {
        vision: () => ({
          shape: vision,
          names: originalNames,
          modules: originalPaths,
          stored: originalPaths,
        }),
        images: {
          ...imageLimits(vision, tileSize),
          shuffleOrder: config.get('ps_version') === 'v2' ? 'rows' : 'columns',
          imageToken: null,
          minTiles: isDynamic ? config.positiveInteger('min_dynamic_patch', 1) : 1,
          maxTiles: isDynamic ? config.positiveInteger('max_dynamic_patch', 6) : 1,
          useThumbnail: config.boolean('use_thumbnail', false),
          template: readText(config, 'template'),
          systemMessage: readText(config, 'system_message'),
        },
      },
    );
  },
};

/** InternVL 2.5 and 3 as transformers has them. */
export const internvl: ModelFamily = {
  name: 'internvl',
  architectures: ['InternVLForConditionalGeneration'],

  shape(config) {
    refuseQuantization(config);
    config.only('vision_feature_select_strategy', ['default']);
    const visionConfig = config.nested('vision_config');
    for (const key of ['use_absolute_position_embeddings', 'use_mean_pooling'])
      visionConfig.only(key, [true]);
    const tower = readTower(visionConfig, convertedTower);
    const vision: VisionShape = {
      ...tower,
      blocks: blocksUpTo(config, 'vision_feature_layer', tower.layers),
      shuffleSize: readShuffle(config, tower.gridSize),
      projectorActivation: readActivation(config, 'projector_hidden_act', 'gelu'),
    };
    const limits = imageLimits(vision, tower.imageSize);
    // What the processor puts into prompts.
    config.only('image_seq_length', [limits.tokensPerTile]);
    return internvlShape(
      { ...decoderOfType(config.nested('text_config'), 'qwen2'), ...wrappedNames },
      {
        vision: (names) => ({
          shape: vision,
          names: convertedNames,
          modules: convertedPaths,
          stored: convertedIn(names),
        }),
        images: {
          ...limits,
          shuffleOrder: 'rows',
          imageToken: config.positiveInteger('image_token_id', 151_667, { least: 0 }),
          minTiles: 1,
          maxTiles: 12,
          useThumbnail: true,
          template: null,
          systemMessage: null,
        },
      },
    );
  },
};

interface Parts {
  readonly vision: (names: DecoderNames) => VisionParts;
  readonly images: ImageLimits;
}

/** Tower and projector before a decoder whose embedding they write into. */
function internvlShape(text: DecoderShape, { vision, images }: Parts): ModelShape {
  return {
    names: text.names,
    tiedHead: text.tiedHead,
    tiedBy: 'checkpoint',
    layout: ({ names, tiedHead }) => {
      const chain = decoderChain({ ...text, tiedHead }, names, {
        place: (block, embedded) => {
          const value = block.input(imageStreams.image, text.hiddenSize, imageRows.image);
          return placeRows(block, embedded, { value, indices: imageStreams.places });
        },
      });
      return layoutFrom({
        ...chain,
        family: 'internvl',
        others: { ...chain.others, within: null },
        images,
        diffusion: null,
        blocks: [
          ...visionBlocks(vision(names), text.hiddenSize),
          ...chain.blocks.map((block) => withWholeLast(block, text)),
        ],
      });
    },
  };
}

/** The last layer's down projection is the one linear of the LLM that the paper keeps whole. */
function withWholeLast(block: BlockDeclaration, text: DecoderShape): BlockDeclaration {
  const { modules, layers, linears } = text;
  if (block.path !== `${modules.layers}.${layers.length - 1}`) return block;
  return {
    ...block,
    treatment: (linear) => ({
      adapted: 'byDefault',
      emulated: linear === linears.down ? 'whenNamed' : 'byDefault',
    }),
  };
}

function withinModules({ modules }: DecoderShape): DecoderShape['modules'] {
  const { layers, head } = modules;
  return { layers: `language_model.${layers}`, head: `language_model.${head}` };
}

/** The side of the tiles that a model is given, which the tower's positions must be made for. */
function forcedSize(config: ConfigReader, { imageSize, patchSize, gridSize }: TowerShape): number {
  const key = 'force_image_size';
  const size = config.positiveInteger(key, imageSize);
  const grid = gridOf(size, patchSize);
  if (grid === gridSize) return size;
  throw config.unsupported(
    key,
    `its ${grid} x ${grid} patches need positions of their own: only ${imageSize}, the ${gridSize} x ${gridSize} patches of vision_config.image_size`,
  );
}

function readText(config: ConfigReader, key: string): string | null {
  if (!config.has(key)) return null;
  const value = config.get(key);
  if (typeof value !== 'string') throw config.invalid(key, 'a text');
  return value;
}

/** What both layouts have alike. */
function imageLimits({ patchSize, gridSize, shuffleSize }: VisionShape, tileSize: number) {
  return {
    tileSize,
    patchSize,
    gridSize,
    shuffleSize,
    tokensPerTile: (gridSize / shuffleSize) ** 2,
    imageTokenText: '<IMG_CONTEXT>',
    // Of ImageNet, which the towers were trained with.
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
}
