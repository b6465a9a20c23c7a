import { ConfigReader } from '../config.js';
import { convertedTower, originalTower, readTower } from './read-vision.js';

const config = new ConfigReader({ layer_norm_eps: 1e-3 }, 'vision_config.');

describe('readTower', () => {
  it("gives the original's norms of q and k the epsilon of its blocks", () => {
    expect(readTower(config, originalTower)).toMatchObject({ epsilon: 1e-3, qkEpsilon: 1e-3 });
  });

  it('gives those of transformers their own', () => {
    expect(readTower(config, convertedTower)).toMatchObject({ epsilon: 1e-3, qkEpsilon: 1e-6 });
  });
});
